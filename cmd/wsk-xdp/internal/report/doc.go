// SPDX-License-Identifier: Apache-2.0

// Package report shows and compares the JSON documents of blast, recv and bench: as tables, as one page of HTML that
// needs nothing else, and one against another.
package report
