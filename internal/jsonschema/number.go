package jsonschema

import (
	"encoding/json"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// number is an exact decimal: its digits as a whole number, times ten to the power of exponent. The digits have no zero at
// either end and "" is zero, so that equal numbers are equal values of this type, and no operation needs more room than the
// digits that somebody wrote: 1e999999999 is one digit.
type number struct {
	digits   string
	exponent int64
	negative bool
}

// maxExponent is where exponents end; what is beyond is taken for it. Only there are numbers not exact.
const maxExponent = 1 << 60

// numberOf reads a number of decoded JSON.
func numberOf(value any) (number, bool) {
	switch v := value.(type) {
	case json.Number:
		return parseNumber(string(v))
	case int:
		return parseNumber(strconv.Itoa(v))
	case int64:
		return parseNumber(strconv.FormatInt(v, 10))
	case uint64:
		return parseNumber(strconv.FormatUint(v, 10))
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return number{}, false
		}
		return parseNumber(strconv.FormatFloat(v, 'g', -1, 64))
	}
	return number{}, false
}

// parseNumber reads a number as JSON writes it; zeros at its begin do not matter.
func parseNumber(text string) (number, bool) {
	mantissa, power, scaled := text, "", false
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		mantissa, power, scaled = text[:i], text[i+1:], true
	}
	mantissa, negative := strings.CutPrefix(mantissa, "-")
	whole, fraction, pointed := strings.Cut(mantissa, ".")
	if !isDigits(whole) || pointed && !isDigits(fraction) {
		return number{}, false
	}
	var exponent int64
	if scaled {
		if !isDigits(strings.TrimLeft(power, "+-")) || len(power)-len(strings.TrimLeft(power, "+-")) > 1 {
			return number{}, false
		}
		exponent, _ = strconv.ParseInt(power, 10, 64) // out of range it is the nearest that there is
		exponent = min(max(exponent, -maxExponent), maxExponent)
	}
	digits := whole
	if pointed {
		digits += fraction
		exponent -= int64(len(fraction))
	}
	digits = strings.TrimLeft(digits, "0")
	short := strings.TrimRight(digits, "0")
	exponent += int64(len(digits) - len(short))
	if short == "" {
		return number{}, true
	}
	return number{short, exponent, negative}, true
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// isInteger holds for 1.0 as for 1.
func (n number) isInteger() bool { return n.exponent >= 0 }

// compare is -1, 0 or 1 as a is less than b, the same or greater.
func (n number) compare(b number) int {
	switch {
	case n == b:
		return 0
	case n.sign() != b.sign():
		if n.sign() < b.sign() {
			return -1
		}
		return 1
	}
	// The place of the first digit decides, then the digits: they are without zeros at the end, so that the shorter of two that
	// begin alike is the smaller, as texts are ordered.
	greater := n.magnitude() > b.magnitude() || n.magnitude() == b.magnitude() && n.digits > b.digits
	if greater != n.negative {
		return 1
	}
	return -1
}

func (n number) sign() int {
	switch {
	case n.digits == "":
		return 0
	case n.negative:
		return -1
	}
	return 1
}

func (n number) magnitude() int64 { return int64(len(n.digits)) + n.exponent }

// count is the number as a length: a whole number that is not negative. One that is greater than any length is the greatest.
func (n number) count() (int, bool) {
	if n.negative || !n.isInteger() {
		return 0, false
	}
	if n.magnitude() > 18 {
		return math.MaxInt, true
	}
	i, err := strconv.Atoi("0" + n.digits + strings.Repeat("0", int(n.exponent)))
	return i, err == nil
}

// isMultipleOf tells whether n is a whole number of times b, which is not zero.
func (n number) isMultipleOf(b number) bool {
	if n.digits == "" {
		return true
	}
	shift := n.exponent - b.exponent
	if shift < -int64(len(n.digits)) {
		return false // b ends in more zeros than n has digits
	}
	if small, ok := n.smallMultiple(b, shift); ok {
		return small
	}
	dividend, _ := new(big.Int).SetString(n.digits, 10)
	divisor, _ := new(big.Int).SetString(b.digits, 10)
	if dividend == nil || divisor == nil {
		return false // they are digits
	}
	ten := big.NewInt(10)
	if shift < 0 {
		divisor.Mul(divisor, ten.Exp(ten, big.NewInt(-shift), nil))
	} else { // of the power only what is left of it by the divisor matters, so its size does not
		dividend.Mul(dividend, ten.Exp(ten, big.NewInt(shift), divisor))
	}
	return dividend.Mod(dividend, divisor).Sign() == 0
}

// smallMultiple is isMultipleOf where everything fits into 64 bits.
func (n number) smallMultiple(b number, shift int64) (multiple, ok bool) {
	power := max(shift, -shift)
	if power > 18 || int64(len(n.digits))+max(shift, 0) > 18 || int64(len(b.digits))+max(-shift, 0) > 18 {
		return false, false
	}
	zeros := strings.Repeat("0", int(power))
	left, right := n.digits, b.digits
	if shift < 0 {
		right += zeros
	} else {
		left += zeros
	}
	x, errX := strconv.ParseInt(left, 10, 64)
	y, errY := strconv.ParseInt(right, 10, 64)
	if errX != nil || errY != nil || y == 0 {
		return false, false
	}
	return x%y == 0, true
}
