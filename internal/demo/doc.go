// Package demo tells Greengate's story on one machine with nothing else installed: a sample service
// in four versions goes through the real pipeline while a load generator counts every request.
//
// It drives the same binary as a person would, by its commands: what the demo can do, a user can.
package demo
