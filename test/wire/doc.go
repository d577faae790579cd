// Package wire drives the real binary with the clients that people have: boto3 and the aws CLI, unmodified, against real
// tasks, real traffic and real functions.
package wire
