//! In what the others differ from weft, by reason: the section by which weft does what it does. A kind of difference
//! that is not here fails.

/// Kinds of difference with one reason.
struct Known {
    /// How they begin; a `*` stands for anything.
    kinds: &'static [&'static str],
    /// Why weft is right, or may do what it does.
    #[expect(dead_code, reason = "for the reader")]
    why: &'static str,
}

pub fn is_known(kind: &str) -> bool {
    ALL.iter().flat_map(|known| known.kinds).any(|pattern| fits(pattern, kind))
}

fn fits(pattern: &str, kind: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let found = |rest: &str, piece: &str| rest.find(piece).map(|at| at + piece.len());
    let mut rest = kind.strip_prefix(first);
    for piece in pieces {
        rest = rest.and_then(|text| found(text, piece).and_then(|end| text.get(end..)));
    }
    rest.is_some()
}

const ALL: &[Known] = &[
    // OPEN.
    Known {
        kinds: &["rustbgpd accepts: Open HoldTime"],
        why: "RFC 4271 section 6.2: a hold time of one or two seconds must be rejected",
    },
    Known {
        kinds: &["rustbgpd accepts: * ZeroAs", "NetGauze accepts: * ZeroAs"],
        why: "RFC 7607 section 2: nobody may be AS 0",
    },
    Known {
        kinds: &["rustbgpd accepts: Open Capability"],
        why: "RFC 4271 section 6.2: an optional parameter that is known and malformed has subcode 0; rustbgpd keeps it \
              as unknown",
    },
    Known {
        kinds: &[
            "NetGauze refuses: UndefinedAddressFamily",
            "NetGauze refuses: UndefinedSubsequentAddressFamily",
            "NetGauze refuses: AddressTypeError",
            "NetGauze refuses: InvalidRouteRefreshLength",
            "NetGauze refuses: UnexpectedEof MultipleLabelError",
            "rustbgpd misses multiprotocol",
            "rustbgpd misses extended-next-hop",
            "rustbgpd misses add-path",
            "rustbgpd misses long-lived",
            "rustbgpd misses graceful-restart",
            "rustbgpd reads another graceful-restart",
            "rustbgpd misses capability",
            "rustbgpd adds capability",
            "rustbgpd reads another capability",
            "rustbgpd adds LinkLocalNextHop",
            "rustbgpd adds OutboundRouteFilter",
            "rustbgpd adds PathsLimit",
        ],
        why: "RFC 5492 section 3: what is not known is ignored, be it a family or a capability. weft keeps families \
              as numbers; NetGauze refuses those it does not know, and rustbgpd keeps the capability as its bytes. \
              Capabilities of their own, such as 8 and 128, are nothing to weft",
    },
    Known {
        kinds: &["NetGauze refuses: InvalidAddPathSendReceiveValue", "NetGauze reads another add-path"],
        why: "RFC 7911 section 4: a mode that does not exist is to be ignored; weft ignores its family alone",
    },
    Known {
        kinds: &[
            "NetGauze refuses: InvalidUtf8",
            "NetGauze refuses: UnexpectedEof FqdnCapabilityError",
            "NetGauze reads another fqdn",
        ],
        why: "draft-walton-bgp-hostname-capability: a name is only shown, so one that cannot be read ends no session",
    },
    Known {
        kinds: &[
            "NetGauze refuses: UndefinedParameterType",
            "NetGauze refuses: UnexpectedEof BgpOpenMessageParsingError",
        ],
        why: "RFC 9072 section 2: optional parameters of more than 255 bytes",
    },
    Known {
        kinds: &["NetGauze refuses: InvalidBgpId"],
        why: "RFC 6286 section 2.1: any number but zero is an identifier",
    },
    Known {
        kinds: &["NetGauze reads another open"],
        why: "RFC 6793 section 3 has one capability with the AS: of two, weft takes the first, as rustbgpd does",
    },
    // NOTIFICATION and ROUTE-REFRESH.
    Known {
        kinds: &[
            "NetGauze refuses: Undefined",
            "NetGauze refuses: UndefinedBgpErrorNotificationCode",
            "NetGauze refuses: UndefinedMessageHeaderErrorType",
            "NetGauze refuses: UndefinedOpenMessageErrorSubCode",
            "NetGauze refuses: UndefinedUpdateMessageErrorSubCode",
            "NetGauze refuses: UndefinedCeaseErrorSubCode",
        ],
        why: "RFC 4271 section 6.4: an error in a NOTIFICATION is logged; the session ends in any case",
    },
    Known {
        kinds: &["NetGauze refuses: UndefinedOperation", "rustbgpd refuses: Incomplete"],
        why: "RFC 7313 section 5: a subtype that is not known is ignored, and what follows it",
    },
    Known {
        kinds: &["rustbgpd accepts: Header Length", "rustbgpd accepts: RouteRefresh Length"],
        why: "RFC 7313 section 5: a wrong length is an error; weft offers no filters (RFC 5291), which rustbgpd reads",
    },
    // Attributes.
    Known {
        kinds: &["NetGauze accepts: * Missing", "rustbgpd accepts: * Missing"],
        why: "RFC 7606 section 3 d: mandatory. NetGauze does not look, and rustbgpd looks in a later step",
    },
    Known {
        kinds: &["NetGauze accepts: * Twice", "NetGauze accepts: Update Twice"],
        why: "RFC 7606 section 3 g: the first one counts, and there must be one multiprotocol attribute of a kind",
    },
    Known {
        kinds: &["NetGauze accepts: * Flags"],
        why: "RFC 7606 section 3 c: the optional and transitive bits must be those of the attribute",
    },
    Known {
        kinds: &[
            "NetGauze refuses: InvalidPathAttribute",
            "rustbgpd refuses: TreatAsWithdraw 4 UpdateAttributeError 4",
            "rustbgpd refuses: TreatAsWithdraw 9 UpdateAttributeError 4",
            "rustbgpd refuses: TreatAsWithdraw 10 UpdateAttributeError 4",
            "rustbgpd refuses: reset UpdateAttributeError 4",
        ],
        why: "RFC 7606 section 3 c: the partial bit is none of those that make an attribute malformed",
    },
    Known {
        kinds: &["NetGauze accepts: * Unexpected", "rustbgpd accepts: * Unexpected"],
        why: "RFC 7606 sections 7.5, 7.9 and 7.10: discarded from an external peer; RFC 6793 section 6: from a peer of \
              four-byte numbers",
    },
    Known {
        kinds: &["NetGauze accepts: ORIGINATOR_ID Value", "rustbgpd accepts: ORIGINATOR_ID Value"],
        why: "RFC 6286 section 2.1: an identifier is not zero",
    },
    Known {
        kinds: &["NetGauze accepts: * Length"],
        why: "RFC 7606 section 7, RFC 6514 section 5, RFC 6793 section 6, RFC 8092 section 6, RFC 9234 section 5, \
              RFC 7432 section 7: these lengths are malformed; NetGauze reads what fits",
    },
    Known {
        kinds: &["rustbgpd accepts: AS_PATH Value", "NetGauze accepts: AS_PATH Value"],
        why: "RFC 7606 section 7.2: a segment without an AS is malformed",
    },
    Known {
        kinds: &["NetGauze accepts: AS_PATH AsSet"],
        why: "RFC 9774 section 3: what passed a set is withdrawn",
    },
    Known {
        kinds: &[
            "NetGauze refuses: UndefinedAsPathSegmentType",
            "rustbgpd refuses: TreatAsWithdraw 2 UpdateAttributeError 11",
        ],
        why: "RFC 5065 section 3: segments of a confederation, from a peer in it",
    },
    Known {
        kinds: &["NetGauze refuses: InvalidNextHopLength", "rustbgpd refuses: TreatAsWithdraw 3 "],
        why: "RFC 4760 section 3: without the routes that it is for, NEXT_HOP is ignored",
    },
    Known {
        kinds: &["NetGauze accepts: Update UnknownWellKnown", "rustbgpd accepts: Update UnknownWellKnown"],
        why: "RFC 4271 section 6.3: what is not optional must be known",
    },
    Known {
        kinds: &["NetGauze accepts: Update NoRoutes"],
        why: "RFC 7606 section 5.2: with attributes and no routes there is nothing to withdraw instead",
    },
    Known {
        kinds: &[
            "NetGauze misses attribute",
            "NetGauze adds ExtendedCommunitiesIpv6",
            "NetGauze adds Aigp",
            "NetGauze adds PrefixSegmentIdentifier",
            "NetGauze adds BgpLs",
            "rustbgpd misses attribute",
            "rustbgpd adds Ipv6ExtendedCommunities",
            "NetGauze refuses: UndefinedAigpAttributeType",
            "NetGauze refuses: BadBgpPrefixSidTlvType",
            "NetGauze refuses: UnknownTlvType",
            "NetGauze refuses: UnexpectedEof AigpError",
            "NetGauze refuses: UnexpectedEof BgpLsError",
            "NetGauze refuses: UnexpectedEof BgpPrefixSidTlvError",
            "NetGauze refuses: UnexpectedEof TransitiveIpv6ExtendedCommunityError",
            "NetGauze refuses: UnexpectedEof UnknownExtendedCommunityIpv6Error",
            "rustbgpd refuses: * 23 UpdateAttributeError",
            "rustbgpd refuses: * 24 UpdateAttributeError",
            "rustbgpd refuses: * 25 UpdateAttributeError",
            "rustbgpd refuses: * 26 UpdateAttributeError",
            "rustbgpd refuses: * 27 UpdateAttributeError",
            "rustbgpd refuses: * 28 UpdateAttributeError",
            "rustbgpd refuses: * 29 UpdateAttributeError",
            "rustbgpd refuses: * 30 UpdateAttributeError",
            "rustbgpd refuses: * 31 UpdateAttributeError",
            "rustbgpd refuses: * 33 UpdateAttributeError",
            "rustbgpd refuses: * 34 UpdateAttributeError",
            "rustbgpd refuses: * 36 UpdateAttributeError",
            "rustbgpd refuses: * 37 UpdateAttributeError",
            "rustbgpd refuses: * 38 UpdateAttributeError",
            "rustbgpd refuses: * 39 UpdateAttributeError",
            "rustbgpd refuses: * 40 UpdateAttributeError",
            "rustbgpd refuses: * 41 UpdateAttributeError",
            "rustbgpd refuses: * 42 UpdateAttributeError",
            "rustbgpd refuses: * 128 UpdateAttributeError",
        ],
        why: "RFC 4271 section 5: an optional attribute that is not known goes on as it is, or ends here; weft knows \
              none of these",
    },
    Known {
        kinds: &["rustbgpd refuses: TreatAsWithdraw 22 MalformedField"],
        why: "RFC 7385 section 4 has the tunnel types in a registry that grows; weft keeps those it does not know",
    },
    Known {
        kinds: &["NetGauze reads another extended"],
        why: "RFC 7432 sections 7.5 and 7.7: reserved bytes are ignored; NetGauze does not keep them, weft does",
    },
    Known {
        kinds: &["rustbgpd reads another extended"],
        why: "RFC 7432 section 7.8: the value of a default gateway community is reserved; to rustbgpd it must be zero",
    },
    // Routes.
    Known {
        kinds: &[
            "NetGauze accepts: MP_REACH_NLRI Family",
            "NetGauze accepts: MP_UNREACH_NLRI Family",
            "rustbgpd accepts: MP_REACH_NLRI Family",
            "rustbgpd refuses: reset UpdateAttributeError 9",
        ],
        why: "RFC 4760 section 6: routes of a family that was not agreed on are ignored",
    },
    Known {
        kinds: &["NetGauze accepts: * NextHop", "rustbgpd accepts: * NextHop"],
        why: "RFC 4271 section 6.3: a next hop is the address of a host",
    },
    Known {
        kinds: &["NetGauze accepts: Update Multiprotocol"],
        why: "RFC 7606 sections 3 c and 7.11: flags and next hop of a multiprotocol attribute",
    },
    Known {
        kinds: &[
            "NetGauze refuses: UndefinedRouteDistinguisherTypeCode",
            "NetGauze refuses: InvalidLeafAdRoutes",
        ],
        why: "RFC 4364 section 4.2 leaves room for more types; a reflector has no reason to look inside",
    },
    Known {
        kinds: &["NetGauze * membership"],
        why: "RFC 4684 section 4: a membership is a prefix of bits; NetGauze reads whole bytes of it",
    },
    Known {
        kinds: &["NetGauze refuses: InvalidUnicastNetwork"],
        why: "RFC 4271 section 6.3: a prefix that makes no sense is at most ignored, and ends no session",
    },
    Known {
        kinds: &["rustbgpd accepts: route MacLength", "NetGauze accepts: route MacLength"],
        why: "RFC 7432 section 7.2: a MAC address has 48 bits",
    },
    Known {
        kinds: &[
            "NetGauze accepts: route TwoOverlayIndexes",
            "NetGauze accepts: route NoOverlayIndex",
            "NetGauze accepts: route RouterMac",
        ],
        why: "RFC 9136 section 3.2: one overlay index and one only, and the MAC address of one router",
    },
];
