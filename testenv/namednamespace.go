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

// longestSuffix is what [UpNamed] adds to a prefix.
const longestSuffix = "-a"

// CheckPrefix returns what is wrong with a prefix for [UpNamed], nil if nothing is: the names made of it must be right,
// too, or nobody could remove them.
func CheckPrefix(prefix string) error {
	if checkNamespaceName(prefix) != nil || checkNamespaceName(prefix+longestSuffix) != nil {
		return fmt.Errorf("lab name %q: 1 to %d letters, digits, '_', '.' or '-', the first a letter or digit", prefix, 64-len(longestSuffix))
	}
	return nil
}

func namespacePath(name string) string { return filepath.Join(namespaceDir, name) }
