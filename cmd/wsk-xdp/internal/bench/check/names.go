// SPDX-License-Identifier: Apache-2.0

package check

// Named is something that a user chooses by its name.
type Named interface {
	// Name is what it is called by, Summary describes it in a few words.
	Name() string
	Summary() string
}

// Choice is a Named. What is chosen from embeds it.
type Choice struct{ name, summary string }

// Called makes a Choice.
func Called(name, summary string) Choice { return Choice{name, summary} }

// Name implements Named.
func (c Choice) Name() string { return c.name }

// Summary implements Named.
func (c Choice) Summary() string { return c.summary }

// Names are those of all, in their order.
func Names[T Named](all []T) []string {
	out := make([]string, len(all))
	for i := range all {
		out[i] = all[i].Name()
	}
	return out
}

// Find returns the one of that name, nil if there is none. It points into all.
func Find[T Named](all []T, name string) *T {
	for i := range all {
		if all[i].Name() == name {
			return &all[i]
		}
	}
	return nil
}

// Summary describes the one of that name, empty if there is none.
func Summary[T Named](all []T, name string) string {
	if one := Find(all, name); one != nil {
		return (*one).Summary()
	}
	return ""
}
