package s3

import (
	"errors"
	"testing"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/shapes"
)

func TestConditions(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, time.November, 28, 3, 0, 0, 5e8, time.UTC)
	o := Object{ETag: "abc", Modified: at}
	second := func(n int) *shapes.Timestamp {
		return shapes.At(at.Truncate(time.Second).Add(time.Duration(n) * time.Second))
	}
	for name, c := range map[string]struct {
		conditions
		status int // 0: it is answered
	}{
		"none":                                     {},
		"this ETag":                                {conditions{match: `"abc"`}, 0},
		"any":                                      {conditions{match: "*"}, 0},
		"one of several":                           {conditions{match: `"x", "abc"`}, 0},
		"another ETag":                             {conditions{match: "xyz"}, 412},
		"not this ETag":                            {conditions{noneMatch: `"abc"`}, 304},
		"not another ETag":                         {conditions{noneMatch: `"xyz"`}, 0},
		"modified since before":                    {conditions{since: second(-1)}, 0},
		"modified since its own second":            {conditions{since: second(0)}, 304},
		"unmodified since its own second":          {conditions{until: second(0)}, 0},
		"unmodified since before":                  {conditions{until: second(-1)}, 412},
		"an ETag counts before unmodified since":   {conditions{match: "abc", until: second(-1)}, 0},
		"an ETag counts before modified since":     {conditions{noneMatch: "xyz", since: second(5)}, 0},
		"both of a cache, which has it":            {conditions{noneMatch: "abc", since: second(-1)}, 304},
		"unmodified, and another ETag than wanted": {conditions{match: "xyz", until: second(5)}, 412},
	} {
		status := 0
		if e, ok := errors.AsType[*awsapi.Error](c.check(o)); ok {
			status = e.Status
		}
		if status != c.status {
			t.Errorf("%s: %d, want %d", name, status, c.status)
		}
	}
}
