// SPDX-License-Identifier: Apache-2.0

package doctor

// checker collects findings.
type checker struct {
	f     *Facts
	group string
	out   []Finding
}

func (c *checker) add(id string, level Level, title, detail, remedy string) {
	c.out = append(c.out, Finding{id, c.group, level, title, detail, remedy})
}
