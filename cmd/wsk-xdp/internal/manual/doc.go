// SPDX-License-Identifier: Apache-2.0

// Package manual writes manual pages of section 1 from the commands themselves, so that a page says what the command
// does: its flags, defaults, examples and subcommands are those that --help shows.
package manual
