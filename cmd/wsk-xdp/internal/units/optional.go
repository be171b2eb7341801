// SPDX-License-Identifier: Apache-2.0

package units

import "fmt"

// OrDash is a number with two digits behind the point, or a dash where there is none.
func OrDash(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f", *v)
}
