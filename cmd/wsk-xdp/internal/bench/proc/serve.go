// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"encoding/json"
	"fmt"
	"io"
)

// Serve is the child's side: it reads the task, and returns an encoder for its objects and a channel that is closed
// when the parent wants the child to end.
func Serve(stdin io.Reader, stdout io.Writer, task any) (out *json.Encoder, end <-chan struct{}, err error) {
	in := json.NewDecoder(stdin)
	if err := in.Decode(task); err != nil {
		return nil, nil, fmt.Errorf("read task: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		close(ended)
	}()
	return json.NewEncoder(stdout), ended, nil
}
