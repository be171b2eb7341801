// SPDX-License-Identifier: Apache-2.0

package cable

import (
	"fmt"
	"strings"
)

const (
	// Variable is the environment variable that tells commands in a guest the path of the channel.
	Variable = "WSKXDP_CABLE"
	// PortName is what the host calls the channel, and the guest finds it by.
	PortName = "wskxdp.cable"
)

// Ends are the names of the cards, WSKXDP_NIC_A first.
var Ends = []string{"A", "B"}

// request is what a guest may ask for. The ID, which the guest chooses, is in the answer: a process that gives up
// waiting leaves an answer behind, and the next one to ask must not take it for its own.
type request struct {
	id  string
	end int // index in Ends
	up  bool
}

var verbs = map[bool]string{true: "up", false: "down"}

// format returns the line. The empty line in front ends what another process may have begun.
func (r request) format() string {
	return fmt.Sprintf("\n%s %s %s\n", r.id, Ends[r.end], verbs[r.up])
}

// maxID bounds what is repeated in an answer.
const maxID = 32

// parseRequest reads a line of a guest. The ID is set even if the rest of the line is wrong.
func parseRequest(line string) (r request, err error) {
	fields := strings.Fields(line)
	if len(fields) == 0 || len(fields[0]) > maxID || strings.IndexFunc(fields[0], notInID) >= 0 {
		return r, fmt.Errorf("%.*q has no ID", maxID, line)
	}
	r.id = fields[0]
	if len(fields) != 3 {
		return r, fmt.Errorf("%d words, want an ID, an end and up or down", len(fields))
	}
	if r.end, err = ParseEnd(fields[1]); err != nil {
		return r, err
	}
	r.up, err = ParseVerb(fields[2])
	return r, err
}

func notInID(c rune) bool {
	return !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z')
}

// ParseEnd is the index in Ends of a name.
func ParseEnd(name string) (int, error) {
	for i, e := range Ends {
		if e == name {
			return i, nil
		}
	}
	return 0, fmt.Errorf("no end %.8q: there are %s", name, strings.Join(Ends, " and "))
}

// ParseVerb reads up or down.
func ParseVerb(word string) (up bool, err error) {
	for up, verb := range verbs {
		if word == verb {
			return up, nil
		}
	}
	return false, fmt.Errorf("neither up nor down: %.8q", word)
}

// answer returns the line that the host gives; err is what became of the request.
func answer(id string, err error) string {
	if err == nil {
		return id + " ok\n"
	}
	return id + " no " + strings.ReplaceAll(err.Error(), "\n", "; ") + "\n"
}

// parseAnswer reports whether a line answers the request with that ID, and how.
func parseAnswer(line, id string) (mine bool, err error) {
	rest, mine := strings.CutPrefix(strings.TrimRight(line, "\n"), id+" ")
	if !mine || rest == "ok" {
		return mine, nil
	}
	return true, fmt.Errorf("the host says: %s", strings.TrimPrefix(rest, "no "))
}
