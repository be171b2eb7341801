// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	// recordDir has the records, tableFile is made of them, both below the checkout.
	recordDir = "docs/kernels"
	tableFile = "docs/kernels.md"
)

const tableHead = `<!-- Made by scripts/vm/suite from the files in docs/kernels: do not edit. -->
# Kernels and network cards

Every cell was measured in a guest, by the product itself: the answers are those of ` + "`wsk-xdp doctor --json --try`" + `, which
tries things instead of reading version numbers. A cell with — was not asked there. How to measure again:
[testing.md](testing.md).
`

// writeTable makes the document of the records.
func writeTable(root string) error {
	records, err := loadRecords(filepath.Join(root, recordDir))
	if err != nil {
		return err
	}
	if len(records) == 0 {
		return errors.New("no records in " + recordDir + ": measure first, with scripts/vm/suite -record")
	}
	return os.WriteFile(filepath.Join(root, tableFile), []byte(document(records)), 0o644)
}

func document(records []*record) string {
	var veth, cards []*record
	for _, r := range records {
		if r.Setup == "veth" {
			veth = append(veth, r)
		} else {
			cards = append(cards, r)
		}
	}
	var b strings.Builder
	b.WriteString(tableHead)
	b.WriteString("\n## What kernels have: veth, copy mode\n\n")
	features(&b, veth)
	b.WriteString("\n## Network cards\n\nWhat doctor says of the interface as it comes up, without an XDP program; a bind is tried on " +
		"queue 0. The cards are emulated by QEMU.\n\n")
	cardTable(&b, cards)
	b.WriteString("\n## What tests with network cards reported\n\nThe whole of it is in the records.\n\n")
	reportTable(&b, cards)
	if slices.ContainsFunc(cards, func(r *record) bool { return len(r.Measured) > 0 }) {
		b.WriteString("\n## What tests measured with network cards\n\n")
		measured(&b, cards)
	}
	b.WriteString("\n## Tests\n\nSubtests count.\n\n")
	testTable(&b, records)
	complaints(&b, records)
	b.WriteString("\n## Packages\n\n")
	packages(&b, records)
	return b.String()
}

// table writes one in Markdown.
func table(b *strings.Builder, head []string, rows [][]string) {
	if len(rows) == 0 {
		b.WriteString("Not measured yet.\n")
		return
	}
	line := func(cells []string) {
		b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	line(head)
	b.WriteString(strings.Repeat("|---", len(head)) + "|\n")
	for _, r := range rows {
		for i := range r {
			r[i] = strings.NewReplacer("|", "\\|", "\n", " ").Replace(r[i])
			if r[i] == "" {
				r[i] = "—"
			}
		}
		line(r)
	}
}

// series is the kernel as people call it.
func (r *record) series() string {
	parts := strings.SplitN(r.Release, ".", 3)
	if len(parts) < 2 {
		return r.Release
	}
	return parts[0] + "." + parts[1]
}

func features(b *strings.Builder, veth []*record) {
	head := []string{"feature"}
	for _, r := range veth {
		head = append(head, r.series())
	}
	head = append(head, "first seen with", "the product says it needs")
	var rows [][]string
	for _, name := range factNames(veth) {
		cells := []string{label(name)}
		first, named := "", ""
		for _, r := range veth {
			a := answer{}
			if r.Doctor != nil {
				a = r.Doctor.answers()[name]
			}
			cells = append(cells, a.Answer)
			if a.Answer == "yes" && first == "" {
				first = r.series()
			}
			if a.Answer == "no" {
				named = a.named() // of the last kernel without it: an older one may lack more
			}
		}
		rows = append(rows, append(cells, first, named))
	}
	table(b, head, rows)
}

func cardTable(b *strings.Builder, cards []*record) {
	var rows [][]string
	for _, r := range cards {
		if r.Doctor == nil {
			continue
		}
		c, ok := r.Doctor.card()
		if !ok {
			continue
		}
		a := r.Doctor.answers()
		native := map[bool]string{true: "yes", false: "no"}[c.Native]
		if !c.Known {
			native = "—" // before netdev-genl a kernel does not tell
		}
		rows = append(rows, []string{
			r.series(), c.Driver, r.Setup,
			fmt.Sprintf("%d / %d", c.TxQueues, c.RxQueues), fmt.Sprintf("%d / %d", c.TxRing, c.RxRing), native,
			a["tried.zero_copy"].withReason(), a["tried.multi_buffer"].withReason(), c.Features,
		})
	}
	table(b, []string{"kernel", "driver", "set-up", "queues to send / receive", "rings", "native XDP",
		"zero-copy", "XDP_USE_SG in copy mode", "announced"}, rows)
}

func measured(b *strings.Builder, cards []*record) {
	var rows [][]string
	for _, r := range cards {
		c := card{}
		if r.Doctor != nil {
			c, _ = r.Doctor.card()
		}
		for _, m := range r.Measured {
			var statuses []string
			for _, s := range slices.Sorted(maps.Keys(m.Statuses)) {
				statuses = append(statuses, fmt.Sprintf("%s %d", s, m.Statuses[s]))
			}
			rows = append(rows, []string{
				r.series(), c.Driver, m.Mode, number(m.Queues), m.What, number(m.Sent), number(m.Received),
				strings.Join(statuses, ", "), m.Note,
			})
		}
	}
	table(b, []string{"kernel", "driver", "mode", "queues", "what", "sent", "received", "IRPs", "note"}, rows)
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func testTable(b *strings.Builder, records []*record) {
	var rows [][]string
	for _, r := range records {
		for _, t := range r.Tests {
			rows = append(rows, []string{
				r.series(), r.Setup, t.Package,
				fmt.Sprint(t.Passed), fmt.Sprint(len(t.Failed)), fmt.Sprint(len(t.Skipped)),
				strings.Join(append(prefixEach("failed ", t.Failed), prefixEach("skipped ", t.Skipped)...), ", "),
			})
		}
	}
	table(b, []string{"kernel", "set-up", "package", "passed", "failed", "skipped", "which"}, rows)
}

func prefixEach(prefix string, names []string) []string {
	var out []string
	for _, n := range names {
		out = append(out, prefix+n)
	}
	return out
}

// complaints is a section that is there only if a kernel had something to say.
func complaints(b *strings.Builder, records []*record) {
	var rows [][]string
	for _, r := range records {
		for _, c := range r.Complaints {
			rows = append(rows, []string{r.series(), r.Setup, c})
		}
	}
	if len(rows) > 0 {
		b.WriteString("\n## What kernels complained of\n\n")
		table(b, []string{"kernel", "set-up", "line"}, rows)
	}
}

func packages(b *strings.Builder, records []*record) {
	var rows [][]string
	for _, r := range records {
		rows = append(rows, []string{r.series(), r.Setup, r.Release, r.Version, r.Date})
	}
	table(b, []string{"kernel", "set-up", "release", "Debian's version", "measured on"}, rows)
}
