package app

import (
	"crypto/sha256"
	"fmt"
)

// stableUUID names something that has no stored id; it is the same for the same name.
func stableUUID(kind, name string) string {
	sum := sha256.Sum256([]byte("greengate " + kind + "\n" + name))
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}
