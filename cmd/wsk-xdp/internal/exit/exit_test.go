// SPDX-License-Identifier: Apache-2.0

package exit

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
)

func TestCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("x"), 1},
		{Usagef("x"), 2},
		{NotPossiblef("x"), 3},
		{Beyondf("x"), 4},
		{fmt.Errorf("wrapped: %w", NotPossiblef("x")), 3},
		{errors.Join(errors.New("x"), Usagef("y")), 2},
	} {
		if got := Code(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
	if !errors.Is(NotPossiblef("open: %w", fs.ErrPermission), fs.ErrPermission) {
		t.Error("the cause is lost")
	}
}
