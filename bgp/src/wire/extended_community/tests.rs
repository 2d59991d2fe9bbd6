//! Each community as (bytes, value), and that bytes without a meaning stay.

use super::ExtendedCommunityValue as Value;
use super::*;

#[test]
fn bytes_and_values() {
    let mac = MacAddr::new([2, 0xaa, 0, 0, 0x50, 1]);
    let target = |text: &str| RouteTarget(text.parse().unwrap());
    let origin = |text: &str| RouteOrigin(text.parse().unwrap());
    let (moves, sticky) =
        (MacMobility { sticky: false, sequence: 5 }, MacMobility { sticky: true, sequence: 0 });
    let label = EsiLabel { single_active: true, label: Label::from_bytes([0, 0, 100]) };
    let flags = NdFlags { router: true, override_flag: false, immutable: true };
    let group = GroupCommunity { domain: 7, group: 70_000 };
    let t = target;
    for (bytes, made, value) in [
        (0x0002_fde8_0000_0064, t("65000:100").into(), Value::RouteTarget(t("65000:100"))),
        (0x0102_0afa_0001_0064, t("10.250.0.1:100").into(), Value::RouteTarget(t("10.250.0.1:100"))),
        (0x0202_fa56_ea01_0064, t("4200000001:100").into(), Value::RouteTarget(t("4200000001:100"))),
        (0x0003_fde8_0000_0064, origin("65000:100").into(), Value::RouteOrigin(origin("65000:100"))),
        (0x030c_0000_0000_0008, ExtendedCommunity::VXLAN, Value::Encapsulation(TunnelType::VXLAN)),
        (0x030d_0000_0000_0000, ExtendedCommunity::DEFAULT_GATEWAY, Value::DefaultGateway),
        (0x0357_0007_0001_1170, group.into(), Value::Group(group)),
        (0x0600_0000_0000_0005, moves.into(), Value::MacMobility(moves)),
        (0x0600_0100_0000_0000, sticky.into(), Value::MacMobility(sticky)),
        (0x0601_0100_0000_0064, label.into(), Value::EsiLabel(label)),
        (0x0602_02aa_0000_5001, ExtendedCommunity::es_import(mac), Value::EsImport(mac)),
        (0x0603_02aa_0000_5001, ExtendedCommunity::router_mac(mac), Value::RouterMac(mac)),
        (0x0608_0900_0000_0000, flags.into(), Value::NdFlags(flags)),
    ] {
        let community = ExtendedCommunity::from_bytes(u64::to_be_bytes(bytes));
        assert_eq!(community, made, "{bytes:016x}");
        assert_eq!(community.value(), value);
        assert!(community.is_transitive());
    }
    assert_eq!(ExtendedCommunity::from(TunnelType::VXLAN), ExtendedCommunity::VXLAN);
}

#[test]
fn bytes_without_a_meaning_stay() {
    for bytes in [0x4300_0000_0000_0001, 0x8006_0000_4700_0000, 0x0610_0000_0000_0000_u64] {
        let community = ExtendedCommunity::from_bytes(bytes.to_be_bytes());
        assert_eq!(community.value(), Value::Other);
        assert_eq!(community.to_bytes(), bytes.to_be_bytes());
    }
    assert!(!ExtendedCommunity::from_bytes([0x43, 0, 0, 0, 0, 0, 0, 1]).is_transitive());
}
