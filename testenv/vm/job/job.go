// SPDX-License-Identifier: Apache-2.0

package job

import "time"

// Places inside a guest.
const (
	// File is where the agent finds its Job, in JSON.
	File = "/job.json"
	// ModuleDir holds the modules to load.
	ModuleDir = "/modules"
	// Port is the serial port that the agent writes to. The kernel has the first one for itself.
	Port = "/dev/ttyS1"
	// Source is where the checkout is mounted, read-only.
	Source = "/src"
	// Out is where a directory of the host is mounted, for files that commands leave: WSKXDP_OUT names it.
	Out = "/out"
)

// Job is all that a guest is to do.
type Job struct {
	// Nonce makes the markers of this guest unlike anything that a command prints.
	Nonce string `json:"nonce"`
	// Modules are file names in ModuleDir, in the order to load them in.
	Modules []string `json:"modules"`
	// Env is added to the environment of every command.
	Env []string `json:"env"`
	// NICs are the interfaces to name to commands.
	NICs []NIC `json:"nics"`
	// Cable says that the host pulls and plugs cables, see package cable.
	Cable bool `json:"cable,omitempty"`
	// Commands are run one after another, whatever becomes of each.
	Commands []Command `json:"commands"`
}

// NIC is an interface that the guest was given. Its name is the guest kernel's choice.
type NIC struct {
	// Env is the variable that tells commands its name.
	Env string `json:"env"`
	// MAC tells it from the others.
	MAC string `json:"mac"`
}

// Command is a line for the guest's shell.
type Command struct {
	Line string `json:"line"`
	// Timeout is how long it may take. Then it gets SIGQUIT, on which a Go program shows its goroutines, and ten
	// seconds later SIGKILL, with all that it started.
	Timeout time.Duration `json:"timeout"`
}
