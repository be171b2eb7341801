// SPDX-License-Identifier: Apache-2.0

// Package completion says what can stand on a command line, for the scripts by which shells complete it. What a flag's
// help text lists, as in wsk|frames, is completed without a word here.
package completion
