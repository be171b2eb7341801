// SPDX-License-Identifier: Apache-2.0

package turns_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk/service/internal/turns"
)

// backlog is a member with datagrams of one size without end, until all have handed over total frames together.
type backlog struct {
	size  int
	sent  int
	total *int
}

func (b *backlog) Hand(frames int) (used int, more bool) {
	for used < frames && *b.total > 0 {
		used += b.size
		b.sent += b.size
		*b.total -= b.size
	}
	return used, *b.total > 0
}

// shares lets users send who have members with datagrams of these sizes, and answers with the frames of each user.
func shares(weights []int, members [][]int) []int {
	const frames = 1 << 20
	total := frames
	p := &turns.Pump{Go: func(f func()) { f() }}
	all := make([][]*backlog, len(members))
	for i, sizes := range members {
		u := p.NewUser(weights[i])
		for _, size := range sizes {
			b := &backlog{size: size, total: &total}
			all[i] = append(all[i], b)
			u.NewMember(b).Ready()
		}
	}
	p.Run(func() {})
	sum := make([]int, len(members))
	for i := range all {
		for _, b := range all[i] {
			sum[i] += b.sent
		}
	}
	return sum
}

// TestFair: users get what their weights say, whatever the size of their datagrams and however many sockets they have.
func TestFair(t *testing.T) {
	for _, tt := range []struct {
		name    string
		weights []int
		members [][]int
	}{
		{"two", []int{1, 1}, [][]int{{1}, {1}}},
		{"small and large", []int{1, 1}, [][]int{{1}, {45}}},
		{"one socket and four", []int{1, 1}, [][]int{{1}, {1, 1, 1, 1}}},
		{"larger than a quantum", []int{1, 1, 1}, [][]int{{1}, {700}, {3, 50}}},
		{"weights", []int{1, 3}, [][]int{{1, 1}, {45}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := shares(tt.weights, tt.members)
			weights := 0
			for _, w := range tt.weights {
				weights += w
			}
			for i, frames := range got {
				want := (1 << 20) * tt.weights[i] / weights
				if off := frames - want; off > 2000 || off < -2000 {
					t.Errorf("user %d has sent %d frames, want %d", i, frames, want)
				}
			}
		})
	}
}

// TestBetween: whoever makes the rounds is called between those of others, and not when nobody waits any more.
func TestBetween(t *testing.T) {
	total := 5 * turns.Quantum
	p := &turns.Pump{Go: func(f func()) { f() }}
	p.NewUser(1).NewMember(&backlog{size: 1, total: &total}).Ready()
	var left []int
	p.Run(func() { left = append(left, total/turns.Quantum) })
	if want := []int{4, 3, 2, 1}; !slices.Equal(left, want) {
		t.Errorf("quanta left when called: %v, want %v", left, want)
	}
}

// TestLight: a user who wants less than his share waits one round at most, however much the others have.
func TestLight(t *testing.T) {
	total := 1 << 16
	p := &turns.Pump{Go: func(f func()) { f() }}
	heavy := &backlog{size: 1, total: &total}
	p.NewUser(1).NewMember(heavy).Ready()
	light := &once{heavy: heavy}
	p.NewUser(1).NewMember(light).Ready()
	p.Run(func() {})
	if light.after > turns.Quantum {
		t.Errorf("the other user had %d frames first", light.after)
	}
}

type once struct {
	heavy *backlog
	after int
}

func (o *once) Hand(int) (int, bool) {
	o.after = o.heavy.sent
	return 1, false
}

// item is a member whose owner adds work from many goroutines.
type item struct {
	mu   sync.Mutex
	todo int
	done int
}

func (i *item) Hand(frames int) (int, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := min(frames, i.todo)
	i.todo -= n
	i.done += n
	return n, i.todo > 0
}

// TestNothingIsLost: work that comes from many goroutines at any time is handed over, by Run and by Wake.
func TestNothingIsLost(t *testing.T) {
	var work, senders sync.WaitGroup
	p := &turns.Pump{Go: func(f func()) { work.Go(f) }}
	items := make([]*item, 5)
	for i := range items {
		items[i] = new(item)
		m := p.NewUser(1 + i).NewMember(items[i])
		for g := range 3 {
			senders.Go(func() {
				for range 2000 {
					items[i].mu.Lock()
					items[i].todo += 7
					items[i].mu.Unlock()
					m.Ready()
					if g == 0 {
						p.Wake()
					} else {
						p.Run(func() {})
					}
				}
			})
		}
	}
	senders.Wait()
	work.Wait()
	for i, it := range items {
		if it.done != 3*2000*7 {
			t.Errorf("item %d: %d done, %d left", i, it.done, it.todo)
		}
	}
}

// TestMoveTo: a member that waits takes its work along to another user, and has its share from then on.
func TestMoveTo(t *testing.T) {
	total := 1 << 16
	p := &turns.Pump{Go: func(f func()) { f() }}
	crowded, alone := p.NewUser(1), p.NewUser(1)
	var crowd []*backlog
	var members []*turns.Member
	for range 3 {
		b := &backlog{size: 1, total: &total}
		m := crowded.NewMember(b)
		m.Ready()
		crowd, members = append(crowd, b), append(members, m)
	}
	members[0].MoveTo(alone)
	members[0].MoveTo(alone) // where it is
	p.Run(func() {})
	if n := crowd[0].sent; n < 1<<15-200 || n > 1<<15+200 {
		t.Errorf("%d of %d frames are of the member that has moved, want half", n, 1<<16)
	}
	if total > 0 {
		t.Errorf("%d frames are left", total)
	}
	idle := crowded.NewMember(&once{heavy: crowd[0]})
	idle.MoveTo(alone) // it does not wait, and is not made to
	p.Run(func() {})
	idle.Ready()
	p.Run(func() {})
}
