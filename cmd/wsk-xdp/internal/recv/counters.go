// SPDX-License-Identifier: Apache-2.0

package recv

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"strconv"
	"strings"
)

// udpCounters are what UDP has counted in a network namespace since they were opened, over all its sockets: of a short datagram with a wrong
// checksum no socket hears, and of a long one the socket hears that it was dropped, not why.
type udpCounters struct {
	files  []*os.File // of IPv4 and IPv6, as far as they are there; each is of the namespace that it was opened in
	before udpDrops
}

// udpDrops are datagrams that were dropped.
type udpDrops struct{ checksum, buffer uint64 }

// openUDPCounters opens them. It is called in the namespace.
func openUDPCounters() *udpCounters {
	c := &udpCounters{}
	for _, name := range []string{"snmp", "snmp6"} {
		if f, err := os.Open("/proc/thread-self/net/" + name); err == nil {
			c.files = append(c.files, f)
		}
	}
	c.before = c.all()
	return c
}

// since is what was dropped since the beginning.
func (c *udpCounters) since() udpDrops {
	now := c.all()
	return udpDrops{now.checksum - min(now.checksum, c.before.checksum), now.buffer - min(now.buffer, c.before.buffer)}
}

func (c *udpCounters) all() (d udpDrops) {
	for _, f := range c.files {
		if text, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<20)); err == nil {
			d.add(text)
		}
	}
	return d
}

// add adds the counters of a file: in the one of IPv4 a line of names is in front of one of numbers, in the one of IPv6 each has a line.
func (d *udpDrops) add(text []byte) {
	var names []string
	count := func(name, number string) {
		n, err := strconv.ParseUint(number, 10, 64)
		switch {
		case err != nil:
		case name == "InCsumErrors":
			d.checksum += n
		case name == "RcvbufErrors", name == "MemErrors":
			d.buffer += n
		}
	}
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		words := strings.Fields(s.Text())
		if len(words) == 2 {
			if name, ok := strings.CutPrefix(words[0], "Udp6"); ok {
				count(name, words[1])
			}
		}
		if len(words) == 0 || words[0] != "Udp:" {
			continue
		}
		for i := 1; i < min(len(words), len(names)); i++ {
			count(names[i], words[i])
		}
		names = words
	}
}

// close closes the files.
func (c *udpCounters) close() {
	for _, f := range c.files {
		f.Close()
	}
	c.files = nil
}
