// Package shadow compares live traffic: the answers that users got of the old version against those that the new one gave to
// copies of the same requests. The data plane makes the copies; this package takes the pairs, counts, and ends in a result
// with the schema of a scenario's. It runs as a program of its own, so that a controller may come and go.
package shadow
