// SPDX-License-Identifier: Apache-2.0

package doctor

// Level says how much a finding matters.
type Level string

// Levels, the last the worst.
const (
	OK   Level = "ok"
	Note Level = "note"
	Warn Level = "warn"
	Fail Level = "fail"
)

// Finding is one thing that was looked at. ID is stable: errors and documents refer to it.
type Finding struct {
	ID     string `json:"id"`
	Group  string `json:"group"`
	Level  Level  `json:"level"`
	Title  string `json:"title"`
	Detail string `json:"detail,omitempty"`
	Remedy string `json:"remedy,omitempty"`
}

// Groups, in the order in which they are shown.
const (
	GroupMachine   = "machine"
	GroupPrivilege = "privilege"
	GroupFeatures  = "features"
	GroupInterface = "interface"
	GroupRules     = "rules"
	GroupPath      = "path"
	GroupProof     = "proof"
)

// Summary is what all of it comes to, one sentence each.
type Summary struct {
	TX       string `json:"tx"`
	RX       string `json:"rx"`
	ZeroCopy string `json:"zero_copy"`
	// PassesBy is what AF_XDP bypasses, whatever was found.
	PassesBy string `json:"passes_by"`
	// TXPossible is whether datagrams can leave in copy mode on this machine at all, if not as this user.
	TXPossible bool `json:"tx_possible"`
}

// Report is the JSON document of doctor.
type Report struct {
	Schema    string    `json:"schema"`
	Version   string    `json:"version"`
	Facts     Facts     `json:"facts"`
	Findings  []Finding `json:"findings"`
	Summary   Summary   `json:"summary"`
	Interface string    `json:"interface,omitempty"`
	Dst       string    `json:"destination,omitempty"`
}

// Schema names the form of Report.
const Schema = "wsk-xdp.doctor/1"

// Count is how many findings have a level.
func (r *Report) Count(l Level) int {
	n := 0
	for _, f := range r.Findings {
		if f.Level == l {
			n++
		}
	}
	return n
}
