// Package metric keeps metrics in memory and says what an alarm on one is: the statistics, the treatment of missing data
// and the states of CloudWatch. It reads no clock and does no input or output.
package metric
