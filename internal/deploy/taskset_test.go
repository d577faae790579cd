package deploy

import (
	"slices"
	"testing"
)

// The tasks of a set have its first places, without those that were dropped; dropping keeps all other places.
func TestTaskSet_Has(t *testing.T) {
	t.Parallel()
	places := func(ts TaskSet) []int {
		var list []int
		for i := -1; i < 20; i++ {
			if ts.Has(i) {
				list = append(list, i)
			}
		}
		return list
	}
	ts := TaskSet{Tasks: 4}
	if got := places(ts); !slices.Equal(got, []int{0, 1, 2, 3}) {
		t.Errorf("places %v", got)
	}
	dropped := ts.Drop([]int{2, 0})
	if got := places(dropped); !slices.Equal(got, []int{1, 3}) || dropped.Tasks != 2 {
		t.Errorf("after a drop: places %v", got)
	}
	again := dropped.Drop([]int{3})
	if got := places(again); !slices.Equal(got, []int{1}) {
		t.Errorf("after another: places %v", got)
	}
	again.Tasks = 3
	if got := places(again); !slices.Equal(got, []int{1, 4, 5}) {
		t.Errorf("grown again: places %v", got)
	}
	if got := places(ts); !slices.Equal(got, []int{0, 1, 2, 3}) || len(dropped.Without) != 2 {
		t.Errorf("a drop changed what it was made of: %v", got)
	}
}
