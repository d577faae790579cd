package s3

import "testing"

func TestByteRange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		header      string
		size        int64
		first, last int64
		ok, bad     bool
	}{
		{"", 10, 0, 0, false, false},
		{"bytes=0-3", 10, 0, 3, true, false},
		{"bytes=5-", 10, 5, 9, true, false},
		{"bytes=5-100", 10, 5, 9, true, false},
		{"bytes=-3", 10, 7, 9, true, false},
		{"bytes=-30", 10, 0, 9, true, false},
		{"bytes=10-", 10, 10, 9, true, true},
		{"bytes=-0", 10, 10, 9, true, true},
		{"bytes=0-", 0, 0, -1, true, true},
		{"bytes=3-1", 10, 0, 0, false, false},
		{"bytes=0-1,3-4", 10, 0, 0, false, false},
		{"bytes=a-b", 10, 0, 0, false, false},
		{"bytes=--3", 10, 0, 0, false, false},
		{"lines=0-3", 10, 0, 0, false, false},
	} {
		first, last, ok, err := byteRange(c.header, c.size)
		if ok != c.ok || (err != nil) != c.bad || ok && (first != c.first || last != c.last) {
			t.Errorf("%q of %d: %d-%d, %v, %v", c.header, c.size, first, last, ok, err)
		}
	}
}

func FuzzByteRange(f *testing.F) {
	f.Add("bytes=0-3", int64(10))
	f.Add("bytes=-9223372036854775807", int64(1))
	f.Add("bytes=9223372036854775807-9223372036854775807", int64(9223372036854775807))
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		first, last, ok, err := byteRange(header, size)
		if ok && err == nil && (first < 0 || last < first || last >= size) {
			t.Errorf("%q of %d is %d-%d", header, size, first, last)
		}
	})
}
