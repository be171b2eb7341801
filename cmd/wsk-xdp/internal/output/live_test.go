// SPDX-License-Identifier: Apache-2.0

package output

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal of so many columns that leaves what is written as it is, and the end that reads it.
func terminal(t *testing.T, columns uint16) (slave, master *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	state, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	state.Oflag &^= unix.OPOST
	if err := unix.IoctlSetTermios(int(slave.Fd()), unix.TCSETS, state); err != nil {
		t.Fatal(err)
	}
	return slave, master
}

// A line longer than the width of the terminal would wrap, and the next one would stand below it instead of replacing
// it.
func TestLiveStaysOnOneLine(t *testing.T) {
	long := strings.Repeat("µ·x", 50)
	for _, c := range []struct {
		columns uint16
		lines   []string
		want    string
	}{
		{40, []string{"short", "a", long}, "\rshort\ra    \r" + string([]rune(long)[:39]) + "\n"},
		{3, []string{"[  1.0s]"}, "\r[ \n"},
		{2, []string{"xy"}, "\rx\n"},
		{0, []string{long}, "\r" + long + "\n"}, // a terminal that does not say
		{500, []string{long}, "\r" + long + "\n"},
	} {
		slave, master := terminal(t, c.columns)
		l := NewLive(slave)
		for _, line := range c.lines {
			l.Show(line)
		}
		l.End()
		got, err := bufio.NewReader(master).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if got != c.want || !utf8.ValidString(got) {
			t.Errorf("%d columns: %q, want %q", c.columns, got, c.want)
		}
	}
}
