package breach

import (
	"crypto/sha1"
	_ "embed"
	"sort"
)

// The lists are sorted 8-byte heads of SHA-1 sums: 64 bits make a false alarm
// less likely than 1 in 10^15, and the repository holds no list of passwords.
// data/SOURCE.txt says where they come from; gen makes all three.

//go:embed data/passwords.bin
var passwords string // 16 characters and more that meet the university's rules

//go:embed data/bases.bin
var common string // the commonest passwords in lower case

const headSize = 8

func listed(sum [sha1.Size]byte) bool { return has(passwords, sum) }

func isCommon(word string) bool { return has(common, sha1.Sum([]byte(word))) }

func has(list string, sum [sha1.Size]byte) bool {
	want := string(sum[:headSize])
	n := len(list) / headSize
	i := sort.Search(n, func(i int) bool { return list[i*headSize:(i+1)*headSize] >= want })
	return i < n && list[i*headSize:(i+1)*headSize] == want
}
