// SPDX-License-Identifier: Apache-2.0

package host

import "time"

// Head is how the report of every measuring command begins.
type Head struct {
	// Schema names the form of the report.
	Schema    string    `json:"schema"`
	Version   string    `json:"version"`
	StartedAt time.Time `json:"started_at"`
	Host      Info      `json:"host"`
	// Command is the command line, so that a run can be repeated.
	Command []string `json:"command,omitempty"`
	Noted
}

// Noted is a report that somebody may have written something beside.
type Noted struct {
	// Note is that (--note).
	Note string `json:"note,omitempty"`
}

// SetNote enters what stands beside the report.
func (n *Noted) SetNote(text string) { n.Note = text }

// NewHead is the head of a report of now, without the command line.
func NewHead(schema string) Head {
	return Head{Schema: schema, Version: ReadBuild().Version, StartedAt: time.Now(), Host: Describe()}
}
