// SPDX-License-Identifier: Apache-2.0

package send

import (
	"reflect"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// TestIsSameSeesEveryField: a field that is added to a destination and forgotten in isSame would send datagrams of one flow by the way
// of another. One that is forgotten in what a shared flow is for would do that to all that share it, which differ in address and port.
func TestIsSameSeesEveryField(t *testing.T) {
	var a wsk.Destination
	lead := route.Lead{Hop: 7}
	shared := commonOf(&a, lead)
	if !isSame(&a, &a) || !shared.is(&a, &lead) {
		t.Fatal("a destination is not the same as itself")
	}
	if shared.is(&a, &route.Lead{Hop: 8}) {
		t.Error("destinations that are led elsewhere share a flow")
	}
	for i := range reflect.TypeFor[wsk.Destination]().NumField() {
		b := a
		field := reflect.ValueOf(&b).Elem().Field(i)
		name := reflect.TypeFor[wsk.Destination]().Field(i).Name
		switch {
		case field.Kind() == reflect.Array:
			last := field.Index(field.Len() - 1)
			last.SetUint(1)
		case field.CanInt():
			field.SetInt(1)
		case field.CanUint():
			field.SetUint(1)
		case field.Kind() == reflect.Bool:
			field.SetBool(true)
		default:
			t.Errorf("field %s is of a kind that this test does not know", name)
			continue
		}
		if a != b && isSame(&a, &b) {
			t.Errorf("destinations that differ in %s pass for the same", name)
		}
		if may := name == "Addr" || name == "Port"; shared.is(&b, &lead) != may || (commonOf(&b, lead) == shared) != may {
			t.Errorf("whether destinations that differ in %s share a flow: want %v", name, may)
		}
		if a == b {
			t.Errorf("field %s was not changed", name)
		}
	}
}
