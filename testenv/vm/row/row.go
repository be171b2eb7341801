// SPDX-License-Identifier: Apache-2.0

package row

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Row is one line of the table. What is not said is shown as a dash; kernel and driver are added by others.
type Row struct {
	// What was done: "send, paced", "device reset under load".
	What string `json:"what"`
	// Mode is the one that was granted: "zero-copy", "copy".
	Mode     string `json:"mode,omitempty"`
	Queues   int    `json:"queues,omitempty"`
	Sent     int    `json:"sent,omitempty"`
	Received int    `json:"received,omitempty"`
	// Statuses counts the IRPs that ended with each.
	Statuses map[string]int `json:"statuses,omitempty"`
	Note     string         `json:"note,omitempty"`
}

// Suffix ends the names of the files.
const Suffix = ".row.json"

// Leave writes rows to the guest's output directory, in place of those that the same name left before; name is usually
// that of the test. It does nothing where there is no such directory, that is outside of guests.
func Leave(name string, rows ...Row) error {
	dir := os.Getenv("WSKXDP_OUT")
	if dir == "" {
		return nil
	}
	raw, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return fmt.Errorf("leave rows: %w", err)
	}
	path := filepath.Join(dir, strings.ReplaceAll(name, "/", "-")+Suffix)
	if err := os.WriteFile(path, append(raw, '\n'), 0o644); err != nil {
		return fmt.Errorf("leave rows: %w", err)
	}
	return nil
}
