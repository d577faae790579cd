package s3

import (
	"strings"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/shapes"
)

// conditions are those of GetObject and HeadObject.
type conditions struct {
	match, noneMatch string
	since, until     *shapes.Timestamp // If-Modified-Since and If-Unmodified-Since
}

// check decides by RFC 9110 13.2.2, as S3 does: an ETag counts before a time. Times are of whole seconds.
func (c conditions) check(o Object) error {
	modified := o.Modified.Truncate(time.Second)
	switch {
	case c.match != "":
		if !matches(c.match, o.ETag) {
			return preconditionFailed()
		}
	case c.until != nil && modified.After(c.until.Time):
		return preconditionFailed()
	}
	switch {
	case c.noneMatch != "":
		if matches(c.noneMatch, o.ETag) {
			return notModified()
		}
	case c.since != nil && !modified.After(c.since.Time):
		return notModified()
	}
	return nil
}

// matches reports whether a list of ETags, or *, has one.
func matches(list, etag string) bool {
	for e := range strings.SplitSeq(list, ",") {
		if e = strings.Trim(strings.TrimPrefix(strings.TrimSpace(e), "W/"), `"`); e == "*" || e == etag {
			return true
		}
	}
	return false
}

func preconditionFailed() error {
	return &awsapi.Error{Name: "PreconditionFailed", Message: "At least one of the pre-conditions you specified did not hold", Status: 412}
}

func notModified() error {
	return &awsapi.Error{Name: "NotModified", Message: "Not Modified", Status: 304}
}
