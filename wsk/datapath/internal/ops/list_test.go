// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// members walks a list both ways and holds the two against each other.
func members(t *testing.T, l *List) (ops []*wsk.SendOp) {
	t.Helper()
	for op := l.Head; op != nil; op = op.Transport.Next {
		if !op.Transport.Linked {
			t.Fatal("a member that does not say that it is linked")
		}
		ops = append(ops, op)
	}
	i := len(ops)
	for op := l.tail; op != nil; op = op.Transport.Prev {
		if i--; i < 0 || ops[i] != op {
			t.Fatalf("backwards the list is another at %d", i)
		}
	}
	if i != 0 || len(ops) != l.N {
		t.Fatalf("%d members one way, %d fewer the other, and N is %d", len(ops), i, l.N)
	}
	return ops
}

// TestListAgainstSlices does at random what can be done with lists, and with slices beside them: the members and their order
// are the same after each step, and what is on no list has no links.
func TestListAgainstSlices(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var lists [2]List
	var models [2][]*wsk.SendOp
	var free []*wsk.SendOp
	for range 8 {
		free = append(free, new(wsk.SendOp))
	}
	leaves := func(op *wsk.SendOp) {
		if tr := &op.Transport; tr.Linked || tr.Next != nil || tr.Prev != nil {
			t.Fatal("an operation that was taken off has links")
		}
		free = append(free, op)
	}
	for range 20000 {
		i := rng.IntN(2)
		l, model := &lists[i], &models[i]
		switch what := rng.IntN(8); {
		case what < 3 && len(free) > 0:
			op := free[len(free)-1]
			free = free[:len(free)-1]
			l.PushBack(op)
			*model = append(*model, op)
		case what < 5:
			op := l.PopFront()
			if len(*model) == 0 {
				if op != nil {
					t.Fatal("an empty list had a first member")
				}
				break
			}
			if op != (*model)[0] {
				t.Fatal("the first member is another")
			}
			*model = (*model)[1:]
			leaves(op)
		case what < 6 && len(*model) > 0:
			at := rng.IntN(len(*model))
			op := (*model)[at]
			l.Remove(op)
			*model = slices.Delete(slices.Clone(*model), at, at+1)
			leaves(op)
		case what < 7:
			l.Append(&lists[1-i])
			*model = append(slices.Clone(*model), models[1-i]...)
			models[1-i] = nil
		default:
			all := l.take()
			if got := members(t, &all); !slices.Equal(got, *model) {
				t.Fatal("what was taken is not what was there")
			}
			l.Append(&all)
		}
		for i := range lists {
			if !slices.Equal(members(t, &lists[i]), models[i]) {
				t.Fatalf("list %d is another than the slice", i)
			}
		}
	}
}
