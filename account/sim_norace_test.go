//go:build !race

package account_test

const simDefault = 300

const orderDefault = 10000

const brakedPeople = 2000
