// SPDX-License-Identifier: Apache-2.0

package netfilter

import (
	"errors"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// dumpTries bounds how often it is read again because it changed meanwhile.
const dumpTries = 5

// errChanged is what came of it if what was read are the rules of two times.
var errChanged = errors.New("the rules changed while they were read")

// dump lists the rules as they were at one time.
func dump() (ruleset, error) {
	var err error
	for range dumpTries {
		r, asleep := ruleset{}, sleepers{}
		var before, after uint32
		if before, err = generation(); err != nil {
			return nil, err
		}
		if err = ask(unix.NFT_MSG_GETTABLE, asleep.addTable); err == nil {
			err = ask(unix.NFT_MSG_GETCHAIN, r.addChain)
		}
		if err == nil {
			err = ask(unix.NFT_MSG_GETRULE, r.addRule)
		}
		if err == nil {
			after, err = generation()
		}
		if err == nil && before != after {
			err = errChanged
		}
		if err == nil {
			r.unhook(asleep)
			return r, nil
		}
		if !interrupted(err) {
			break
		}
	}
	return nil, err
}

// interrupted is whether something was not read to its end because it changed meanwhile.
func interrupted(err error) bool {
	return errors.Is(err, unix.EINTR) || errors.Is(err, nl.ErrDumpInterrupted) || errors.Is(err, errChanged)
}

// generation is the number of the rules, which every change counts up.
func generation() (n uint32, err error) {
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETGEN, 0)
	req.AddRawData([]byte{unix.NFPROTO_UNSPEC, 0, 0, 0})
	err = req.ExecuteIter(unix.NETLINK_NETFILTER, 0, func(b []byte) bool {
		if len(b) >= nfgenmsgLen {
			n = fields(b[nfgenmsgLen:]).number(unix.NFTA_GEN_ID)
		}
		return true
	})
	return n, err
}

func ask(message int, take func([]byte)) error {
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|message, unix.NLM_F_DUMP)
	req.AddRawData([]byte{unix.NFPROTO_UNSPEC, 0, 0, 0})
	return req.ExecuteIter(unix.NETLINK_NETFILTER, 0, func(b []byte) bool {
		take(b)
		return true
	})
}
