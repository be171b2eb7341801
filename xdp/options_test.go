// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestDefaultOptions(t *testing.T) {
	o := DefaultOptions("eth9", 3)
	want := Options{
		Ifname: "eth9", Queue: 3, Mode: ModeAuto, ChunkSize: 2048, TxChunks: 2048,
		TxRing: 2048, CompletionRing: 2048, FillRing: 64, TxBudget: 64, SndBuf: 2048 * 2560,
		BindTimeout: 2 * time.Second,
	}
	if o != want {
		t.Errorf("defaults\n got %+v\nwant %+v", o, want)
	}
	if err := o.validate(); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
	if again := o.withDefaults(); again != o {
		t.Errorf("defaults of defaults differ: %+v", again)
	}
}

func TestDerivedDefaults(t *testing.T) {
	o := Options{Ifname: "e", TxChunks: 1000, RxChunks: 65}.withDefaults()
	if o.TxRing != 1024 || o.CompletionRing != 1024 || o.FillRing != 128 || o.RxRing != 128 || o.TxBudget != 64 {
		t.Errorf("derived %+v", o)
	}
	o = Options{Ifname: "e", TxChunks: 1}.withDefaults()
	if o.TxRing != 2 || o.CompletionRing != 2 || o.TxBudget != 0 {
		t.Errorf("derived for one chunk %+v", o)
	}
	o = Options{Ifname: "e", TxChunks: 64}.withDefaults()
	if o.TxBudget != 64 {
		t.Errorf("budget %d for a TX ring of 64", o.TxBudget)
	}
	if o := (Options{Ifname: "e", TxChunks: math.MaxUint32,
		ChunkSize: 4096}).withDefaults(); o.SndBuf != math.MaxInt32/2 {
		t.Errorf("send buffer %d", o.SndBuf)
	}
}

func TestValidate(t *testing.T) {
	base := DefaultOptions("eth9", 0)
	for _, c := range []struct {
		name   string
		change func(*Options)
		want   []string // parts of the message; none: accepted
	}{
		{"defaults", func(*Options) {}, nil},
		{"index-only", func(o *Options) { o.Ifname, o.IfIndex = "", 5 }, nil},
		{"no-interface", func(o *Options) { o.Ifname = "" }, []string{"interface: give"}},
		{"negative-index", func(o *Options) { o.IfIndex = -1 }, []string{"interface index -1"}},
		{"long-name", func(o *Options) { o.Ifname = "sixteen-letters-" }, []string{"at most 15 bytes"}},
		{"mode", func(o *Options) { o.Mode = 9 }, []string{"mode 9"}},
		{"offload", func(o *Options) { o.Offload = 4 }, []string{"offload 4"}},
		{"offload-kernel", func(o *Options) { o.Offload = OffloadKernel }, nil},
		{"chunk-4096", func(o *Options) { o.ChunkSize = 4096 }, nil},
		{"chunk-1024", func(o *Options) { o.ChunkSize = 1024 }, []string{"chunk size 1024"}},
		{"chunk-8192", func(o *Options) { o.ChunkSize = 8192 }, []string{"chunk size 8192"}},
		{"chunk-3000", func(o *Options) { o.ChunkSize = 3000 }, []string{"chunk size 3000"}},
		{"headroom-largest", func(o *Options) { o.Headroom = 2048 - 257 }, nil},
		{"headroom", func(o *Options) { o.Headroom = 2048 - 256 }, []string{"headroom 1792"}},
		{"headroom-huge", func(o *Options) { o.Headroom = math.MaxUint32 }, []string{"headroom 4294967295"}},
		{"tx-ring-3", func(o *Options) { o.TxRing = 3 }, []string{"TX ring of 3", "TX budget"}},
		{"tx-ring-1", func(o *Options) { o.TxRing, o.TxBudget = 1, 0 }, []string{"TX ring of 1"}},
		{"tx-ring-2", func(o *Options) { o.TxRing, o.TxBudget = 2, 0 }, nil},
		{"tx-ring-huge", func(o *Options) { o.TxRing = 1 << 21 }, []string{"TX ring of 2097152"}},
		{"tx-ring-smaller-than-chunks", func(o *Options) { o.TxRing = 256 }, nil},
		{"completion-too-small", func(o *Options) { o.CompletionRing = 1024 },
			[]string{"completion ring of 1024", "at least 2048"}},
		{"completion-odd", func(o *Options) { o.CompletionRing = 3000 }, []string{"completion ring of 3000",
			"power of two"}},
		{"fill-too-small", func(o *Options) { o.RxChunks, o.RxRing = 128, 64 }, []string{"fill ring of 64",
			"at least 128"}},
		{"rx", func(o *Options) { o.RxChunks, o.RxRing, o.FillRing = 128, 64, 128 }, nil},
		{"rx-ring-missing", func(o *Options) { o.RxChunks = 64 }, []string{"RX ring of 0"}},
		{"rx-ring-without-chunks", func(o *Options) { o.RxRing = 64 }, []string{"without RX chunks"}},
		{"budget-31", func(o *Options) { o.TxBudget = 31 }, []string{"TX budget 31"}},
		{"budget-32", func(o *Options) { o.TxBudget = 32 }, nil},
		{"budget-whole-ring", func(o *Options) { o.TxBudget = 2048 }, nil},
		{"budget-over-ring", func(o *Options) { o.TxBudget = 2049 }, []string{"TX budget 2049"}},
		{"sndbuf", func(o *Options) { o.SndBuf = math.MaxUint32 }, []string{"send buffer"}},
		// The product is 2³² + 4096: in 32 bits it would be 4096.
		{"umem-overflow", func(o *Options) {
			o.ChunkSize, o.TxChunks, o.RxChunks, o.RxRing = 4096, 1<<20, 1, 2
			o.CompletionRing, o.TxRing = 1<<20, 1<<20
		}, []string{"4294971392 bytes of UMEM"}},
		{"chunk-sum-overflow", func(o *Options) { o.TxChunks, o.RxChunks = math.MaxUint32, 2 },
			[]string{"bytes of UMEM", "completion ring", "RX ring"}},
		{"everything", func(o *Options) { *o = Options{Mode: 7, ChunkSize: 1, RxRing: 1, TxBudget: 1}.withDefaults() },
			[]string{"interface", "mode 7", "chunk size 1", "RX ring", "TX budget 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := base
			c.change(&o)
			err := o.validate()
			if c.want == nil {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			if err == nil {
				t.Fatal("accepted")
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("message %q does not mention %q", err, part)
				}
			}
		})
	}
}

// FuzzOptions: whatever is accepted fits 64 bits and the promises of the fields.
func FuzzOptions(f *testing.F) {
	f.Add(uint32(2048), uint32(2048), uint32(0), uint32(0), uint32(2048), uint32(2048), uint32(64), uint32(0),
		uint32(256))
	f.Add(uint32(4096), uint32(1<<20), uint32(1), uint32(64), uint32(1<<20), uint32(1<<20), uint32(2),
		uint32(2), uint32(0))
	f.Fuzz(func(t *testing.T, chunk, txc, rxc, head, tx, comp, fill, rx, budget uint32) {
		o := Options{Ifname: "e", ChunkSize: chunk, TxChunks: txc, RxChunks: rxc, Headroom: head,
			TxRing: tx, CompletionRing: comp, FillRing: fill, RxRing: rx, TxBudget: budget}.withDefaults()
		if o.validate() != nil {
			return
		}
		if o.umemLen() > maxUMEM || uint64(o.CompletionRing) < uint64(o.TxChunks) ||
			uint64(o.FillRing) < uint64(o.RxChunks) {
			t.Errorf("accepted %+v", o)
		}
		if o.Headroom+xdpHeadroom >= o.ChunkSize {
			t.Errorf("accepted headroom %d in chunks of %d", o.Headroom, o.ChunkSize)
		}
	})
}
