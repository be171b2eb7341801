// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"fmt"
	"path/filepath"
	"regexp"
)

// namespaceDir is where iproute2 keeps named namespaces, so that `ip netns exec` finds ours.
const namespaceDir = "/run/netns"

var namespaceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

func checkNamespaceName(name string) error {
	if !namespaceName.MatchString(name) {
		return fmt.Errorf("namespace name %q: 1 to 64 letters, digits, '_', '.' or '-', the first a letter or digit", name)
	}
	return nil
}

func namespacePath(name string) string { return filepath.Join(namespaceDir, name) }
