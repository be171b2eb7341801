// SPDX-License-Identifier: Apache-2.0

// Package schema makes JSON Schemas of the Go types of documents, and holds documents against them. Schemas are open, as
// documents get new keys within a version; [Schema.Faults] is not, since a key that the schema of the same source does
// not know is a mistake.
package schema
