// SPDX-License-Identifier: Apache-2.0

package send

import (
	"reflect"
	"testing"
)

// What the collector takes for numbers must not hold a pointer.
func TestProgressHoldsNoPointer(t *testing.T) {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[progress]()) {
		switch f.Type.Kind() {
		case reflect.Bool, reflect.Int, reflect.Int32, reflect.Uint8, reflect.Uint32, reflect.Uint64:
		default:
			t.Errorf("%s is a %v", f.Name, f.Type)
		}
	}
}
