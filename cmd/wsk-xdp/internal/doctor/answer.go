// SPDX-License-Identifier: Apache-2.0

package doctor

import "github.com/wsk-xdp/wsk-xdp/xdp"

// Answer is what a probe said.
type Answer struct {
	// Answer is yes, no or unknown.
	Answer string `json:"answer"`
	// Reason is why not.
	Reason string `json:"reason,omitempty"`
}

// Yes reports whether the answer is yes.
func (a Answer) Yes() bool { return a.Answer == "yes" }

// No reports whether the answer is no, which is another thing than not yes.
func (a Answer) No() bool { return a.Answer == "no" }

func answer(err error) Answer {
	a := Answer{Answer: xdp.AnswerOf(err).String()}
	if err != nil {
		a.Reason = err.Error()
	}
	return a
}

// known is the answer to whether something could be read.
func known(err error) Answer {
	if err == nil {
		return Answer{Answer: "yes"}
	}
	return Answer{"unknown", err.Error()}
}
