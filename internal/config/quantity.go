package config

import (
	"math"
	"strconv"
	"strings"
	"time"
)

func (d *decoder) integer(to *int) setter {
	return func(n *node, field string) {
		if !d.expect(n, field, "a whole number", kindNumber) {
			return
		}
		i, err := strconv.Atoi(n.text)
		if err != nil {
			d.fault(field, "%q is not a whole number", n.text)
			return
		}
		*to = i
	}
}

// cores reads a number of CPUs, 0.5 is half of one.
func (d *decoder) cores(to *float64) setter {
	return func(n *node, field string) {
		if !d.expect(n, field, "a number of cores such as 0.5", kindNumber) {
			return
		}
		f, err := strconv.ParseFloat(n.text, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) || f <= 0 || f > 4096 {
			d.fault(field, "%q is not a number of cores; write for example 0.5", n.text)
			return
		}
		*to = f
	}
}

// duration reads 30s, 5m, 1h30m. A bare number is refused: nobody can know its unit.
func (d *decoder) duration(to *time.Duration) setter {
	return func(n *node, field string) {
		if !d.expect(n, field, "a duration such as 30s", kindText, kindNumber) {
			return
		}
		v, err := time.ParseDuration(n.text)
		switch {
		case err != nil && n.kind == kindNumber:
			d.fault(field, "%q has no unit; write for example %ss or %sm", n.text, n.text, n.text)
		case err != nil:
			d.fault(field, "%q is not a duration; write for example 30s, 5m or 1h30m", n.text)
		case v < 0:
			d.fault(field, "%q is negative", n.text)
		default:
			*to = v
		}
	}
}

// size reads 256MiB or 1GB as bytes; 1 KB is 1000 bytes, 1 KiB is 1024.
func (d *decoder) size(to *int64) setter {
	return func(n *node, field string) {
		if !d.expect(n, field, "a size such as 256MiB", kindText, kindNumber) {
			return
		}
		bytes, ok := parseSize(n.text)
		switch {
		case ok && bytes > 0:
			*to = bytes
		case n.kind == kindNumber:
			d.fault(field, "%q has no unit; write for example 256MiB or 1GB", n.text)
		default:
			d.fault(field, "%q is not a size; write for example 256MiB or 1GB", n.text)
		}
	}
}

func parseSize(s string) (int64, bool) {
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
	var unit float64
	switch strings.ToLower(strings.TrimSpace(s[len(digits):])) {
	case "b":
		unit = 1
	case "kb":
		unit = 1e3
	case "mb":
		unit = 1e6
	case "gb":
		unit = 1e9
	case "tb":
		unit = 1e12
	case "kib":
		unit = 1 << 10
	case "mib":
		unit = 1 << 20
	case "gib":
		unit = 1 << 30
	case "tib":
		unit = 1 << 40
	default:
		return 0, false
	}
	if strings.Trim(digits, "0123456789.") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil || f*unit >= math.MaxInt64 {
		return 0, false
	}
	return int64(f * unit), true
}

// mebibytes reads the memory of a function. Lambda counts in MiB; a part of one is rounded up.
func (d *decoder) mebibytes(to *int) setter {
	return func(n *node, field string) {
		var bytes int64
		d.size(&bytes)(n, field)
		*to = int((bytes + 1<<20 - 1) >> 20)
	}
}

// percent reads "10%" as 10; all is no part.
func (d *decoder) percent(to *int) setter { return d.percentUpTo(to, 99) }

func (d *decoder) percentUpTo(to *int, most int) setter {
	return func(n *node, field string) {
		if !d.expect(n, field, "a percentage such as 10%", kindText, kindNumber) {
			return
		}
		digits, sign := strings.CutSuffix(n.text, "%")
		i, err := strconv.Atoi(strings.TrimSpace(digits))
		switch {
		case err != nil:
			d.fault(field, "%q is not a whole percentage; write for example 10%%", n.text)
		case !sign:
			d.fault(field, "%q has no unit; write %s%%", n.text, n.text)
		case i < 1 || i > most:
			d.fault(field, "is %d%%; it must be between 1%% and %d%%", i, most)
		default:
			*to = i
		}
	}
}

// share reads "0.5%" as 0.005.
func (d *decoder) share(to *float64) setter {
	return func(n *node, field string) {
		if !d.expect(n, field, "a percentage such as 1%", kindText, kindNumber) {
			return
		}
		digits, sign := strings.CutSuffix(n.text, "%")
		f, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
		switch {
		case err != nil || math.IsNaN(f):
			d.fault(field, "%q is not a percentage; write for example 1%% or 0.5%%", n.text)
		case !sign:
			d.fault(field, "%q has no unit; write %s%%", n.text, n.text)
		case f < 0 || f > 100:
			d.fault(field, "is %s; it must be between 0%% and 100%%", n.text)
		default:
			*to = f / 100
		}
	}
}
