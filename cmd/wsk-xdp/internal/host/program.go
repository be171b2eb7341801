// SPDX-License-Identifier: Apache-2.0

package host

import (
	"path/filepath"
	"strings"
)

const program = "wsk-xdp"

// Program is how this program was called, for commands that a user is to copy: with its path where it was given one,
// since it need not be in the PATH of sudo. arg0 is os.Args[0].
func Program(arg0 string) string {
	if strings.ContainsRune(arg0, '/') && filepath.Base(arg0) == program && !strings.ContainsAny(arg0, " \t\n'\"\\$`") {
		return arg0
	}
	return program
}
