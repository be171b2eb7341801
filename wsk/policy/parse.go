// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"bytes"
	"maps"
	"regexp"
	"slices"

	"github.com/pelletier/go-toml/v2"
)

// maxFile is in bytes.
const maxFile = 1 << 20

// Parse reads a policy. name is that of the file, for errors, which are [Errors]: all that is wrong with it.
func Parse(name string, text []byte, host Host) (*Policy, error) {
	if host.User == nil {
		host.User = localUser
	}
	if host.Group == nil {
		host.Group = localGroup
	}
	p := parser{problems: problems{file: name}, host: host}
	if len(text) > maxFile {
		p.add(position{1, 1}, "the file has %d bytes, more than %d", len(text), maxFile)
		return nil, p.err()
	}
	decoder := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := decoder.Decode(&p.file); err != nil {
		p.addDecode(err)
		return nil, p.err()
	}
	p.positions = locate(text)
	for key, at := range p.positions.misspelt {
		p.add(at, "there is no key %s: keys have no capitals", key)
	}
	policy := p.policy()
	if err := p.err(); err != nil {
		return nil, err
	}
	return policy, nil
}

func (p *parser) policy() *Policy {
	switch version := p.file.Version; {
	case version == nil:
		p.add(position{1, 1}, "version is missing: write version = 1")
	case *version != 1:
		p.at("version", "version is %d, and this daemon knows 1", *version)
	}
	policy := &Policy{Interfaces: p.readInterfaces()}
	p.defaults = p.limits("defaults", builtin, &p.file.Defaults)
	p.names = make(map[string]position)
	policy.rules = p.rules()
	return policy
}

// interfaceName is what Linux takes (dev_valid_name), but for spaces of other alphabets.
var interfaceName = regexp.MustCompile(`^[^/:\s]{1,15}$`)

func (p *parser) readInterfaces() []Interface {
	p.interfaces = make(map[string]int)
	var list []Interface
	for _, name := range slices.Sorted(maps.Keys(p.file.Interface)) {
		path := "interface." + name
		in := p.file.Interface[name]
		got := Interface{
			Name:    name,
			Queues:  int(p.number(path+".queues", in.Queues, 1, 1, 1024)),
			Mode:    Mode(p.word(path+".mode", in.Mode, "auto", "zerocopy", "copy")),
			Receive: in.Receive == nil || *in.Receive,
			Spread:  in.Spread != nil && *in.Spread,
		}
		if !interfaceName.MatchString(name) || name == "." || name == ".." {
			p.at(path, "%q is not the name of an interface", name)
		}
		if len(list) == maxInterfaces {
			p.at(path, "there are more than %d interfaces", maxInterfaces)
		}
		p.interfaces[name] = len(list)
		list = append(list, got)
	}
	return list
}
