// SPDX-License-Identifier: Apache-2.0

package report

import (
	_ "embed" // the page
	"html/template"
	"io"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"plus": func(i int) int { return i + 1 },
	"rows": (*Document).rows,
}).Parse(pageText))

// WritePage writes documents as one page of HTML that loads nothing: styles and drawings are in it.
func WritePage(w io.Writer, all []*Document) error { return pageTemplate.Execute(w, all) }
