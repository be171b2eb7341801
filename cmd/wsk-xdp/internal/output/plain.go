// SPDX-License-Identifier: Apache-2.0

package output

import (
	"io"
	"os"
	"strings"
)

// asciiOf has a form in ASCII for each other character that this program writes itself.
var asciiOf = strings.NewReplacer("µ", "u", "·", "-", "→", "->", "–", "-", "—", "-", "−", "-", "…", "...", "×", "x", "≥", ">=", "≤", "<=", "°", "",
	"█", "#", "▉", "#", "▊", "#", "▋", "#", "▌", "=", "▍", "=", "▎", "-", "▏", "-", "⁸", "^8", "²", "^2", "³", "^3")

// Plain is a writer for text that goes to w: what the locale of the environment (LC_ALL, LC_CTYPE, LANG) has no characters for is written in
// ASCII. In a UTF-8 locale it is w itself. Each Write has whole characters.
func Plain(w io.Writer, getenv func(string) string) io.Writer {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := strings.ToLower(getenv(name)); locale != "" {
			if strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8") {
				return w
			}
			break
		}
	}
	return plain{w}
}

type plain struct{ io.Writer }

func (p plain) Write(b []byte) (int, error) {
	if _, err := asciiOf.WriteString(p.Writer, string(b)); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Raw is what is below a writer that changes text: documents are UTF-8 in every locale. A writer of another package over one of these has a
// method of that name.
func Raw(w io.Writer) io.Writer {
	switch w := w.(type) {
	case plain:
		return Raw(w.Writer)
	case piped:
		return piped{Raw(w.Writer), w.gone}
	case interface{ Raw() io.Writer }:
		return w.Raw()
	}
	return w
}

// fileOf is the file that a writer writes to, nil where it is none.
func fileOf(w io.Writer) *os.File {
	switch w := w.(type) {
	case plain:
		return fileOf(w.Writer)
	case piped:
		return fileOf(w.Writer)
	case *os.File:
		return w
	}
	return nil
}
