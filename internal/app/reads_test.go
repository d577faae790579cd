package app

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"greengate/internal/cloud"
	"greengate/internal/deploy"
)

func TestMovedListeners(t *testing.T) {
	t.Parallel()
	const from, to, test = "127.0.0.1:8080", "127.0.0.1:9080", "127.0.0.1:8081"
	state := cloud.State{Services: map[string]cloud.Service{"shop": {Spec: deploy.Service{Name: "shop", Production: from, Test: test}}}}
	for name, tt := range map[string]struct {
		want   deploy.Service
		fields []string
	}{
		"first deployment": {deploy.Service{Name: "new", Production: from, Test: test}, nil},
		"as it is":         {deploy.Service{Name: "shop", Production: from, Test: test}, nil},
		"production":       {deploy.Service{Name: "shop", Production: to, Test: test}, []string{"listeners.production"}},
		"no test listener": {deploy.Service{Name: "shop", Production: from}, []string{"listeners.test"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var fields []string
			for _, f := range movedListeners(state, tt.want) {
				if f.Level != "warning" {
					t.Errorf("the level of %s is %q; moving a listener is allowed", f.Field, f.Level)
				}
				fields = append(fields, f.Field)
			}
			if diff := cmp.Diff(tt.fields, fields); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
}
