// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"flag"
	"reflect"
	"regexp"
	"strings"
)

// countTests returns how many top-level tests -test.run and -test.skip select. Package testing does not say, so the
// list of tests is read from the *testing.M by reflection; without it the count is 0.
func countTests(m any) int {
	v := reflect.ValueOf(m)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return 0
	}
	tests := v.Elem().FieldByName("tests")
	if !tests.IsValid() || tests.Kind() != reflect.Slice {
		return 0
	}
	run, skip := topPattern("test.run"), topPattern("test.skip")
	n := 0
	for i := range tests.Len() {
		name := tests.Index(i).FieldByName("Name").String()
		if (run == nil || run.MatchString(name)) && (skip == nil || !skip.MatchString(name)) {
			n++
		}
	}
	return n
}

// topPattern returns the part of a test selection that concerns top-level tests, nil if there is none or it is
// unreadable. A skip pattern with subtests skips no top-level test.
func topPattern(name string) *regexp.Regexp {
	f := flag.Lookup(name)
	if f == nil || f.Value.String() == "" {
		return nil
	}
	first, _, deeper := strings.Cut(f.Value.String(), "/")
	if deeper && name == "test.skip" {
		return nil
	}
	re, err := regexp.Compile(first)
	if err != nil {
		return nil
	}
	return re
}
