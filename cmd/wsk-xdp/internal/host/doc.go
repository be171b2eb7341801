// SPDX-License-Identifier: Apache-2.0

// Package host says what machine this is and what this process may do on it.
package host
