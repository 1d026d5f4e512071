//! Two sources that say the same: two lists, two fields, two addresses of the byte code.

use super::{DSDT, FADT, Memory, dsdt, fadt, lists, machine, no_fault, read, table};
use crate::{Fault, Lists, Register, Root, SleepType, Space, find, sleep_type};

#[test]
fn a_bad_list_does_not_hide_a_good_one() {
    const XSDT: Root = Root::Xsdt(0x8000);
    const RSDT: Root = Root::Rsdt(0x7000);
    let both = lists(&[XSDT, RSDT]);
    let rsdt = table(b"RSDT", &0x100u32.to_le_bytes());
    let with = |xsdt: Vec<u8>| Memory(vec![(0x8000, xsdt), (0x7000, rsdt.clone()), (0x100, table(b"APIC", &[1]))]);
    let usable = |memory: &mut Memory, lists: Lists| {
        let mut faults = Vec::new();
        (lists.usable(memory, &mut |fault| faults.push(fault)), faults)
    };
    let good = table(b"XSDT", &0x100u64.to_le_bytes());
    assert_eq!(usable(&mut with(good.clone()), both), (both, vec![]));

    let mut sum = good.clone();
    sum[9] ^= 1;
    let mut empty = table(b"XSDT", &[]);
    for (xsdt, fault) in [
        (sum, Fault::Checksum(*b"XSDT")),
        (empty.clone(), Fault::Empty(*b"XSDT")),
        (table(b"XSDT", &[0; 24]), Fault::Empty(*b"XSDT")),
        (table(b"XSDT", &[1; 7]), Fault::Empty(*b"XSDT")),
        (table(b"RSDT", &0x100u64.to_le_bytes()), Fault::Name(*b"XSDT", 0x8000)),
    ] {
        let mut memory = with(xsdt);
        assert_eq!(usable(&mut memory, both), (lists(&[RSDT]), vec![fault]));
        // A list that was not looked at before is passed over too.
        let mut faults = Vec::new();
        let found = find(&mut memory, both, *b"APIC", &mut |fault| faults.push(fault));
        assert_eq!(found.map(|table| table.at), Ok(0x100), "{fault}");
        assert!(faults.contains(&fault) || faults.contains(&Fault::OnlyIn(*b"APIC", RSDT)), "{faults:?}");
    }
    // The other way round, and neither.
    let mut memory = with(good);
    memory.0[1].1[4] = 3;
    assert_eq!(usable(&mut memory, both), (lists(&[XSDT]), vec![Fault::Length(*b"RSDT", 3)]));
    assert_eq!(find(&mut memory, both, *b"APIC", &mut no_fault).map(|table| table.at), Ok(0x100));
    empty[4] = 0;
    memory.0[0].1 = empty;
    assert!(usable(&mut memory, both).0.is_empty());
    assert_eq!(find(&mut memory, both, *b"APIC", &mut |_| {}), Err(Fault::Length(*b"XSDT", 0)));
    assert_eq!(lists(&[XSDT, Root::Rsdt(0), RSDT, XSDT]).iter().collect::<Vec<_>>(), [XSDT, RSDT]);
}

#[test]
fn a_table_that_one_list_lacks_is_found_in_the_other() {
    let list = lists(&[Root::Xsdt(0x8000), Root::Rsdt(0x7000)]);
    let mut memory = machine();
    memory.0.push((0x7000, table(b"RSDT", &0x200u32.to_le_bytes())));
    memory.0.push((0x200, table(b"HPET", &[7])));
    let mut find = |name, faults: &mut Vec<Fault>| find(&mut memory, list, name, &mut |fault| faults.push(fault));
    let mut faults = Vec::new();
    assert_eq!(find(*b"HPET", &mut faults).map(|table| table.at), Ok(0x200));
    assert_eq!(faults, [Fault::OnlyIn(*b"HPET", Root::Rsdt(0x7000))]);
    assert_eq!(faults[0].to_string(), "only the RSDT at 0x7000 lists a usable HPET");
    faults.clear();
    assert_eq!(find(*b"MCFG", &mut faults), Err(Fault::Missing(*b"MCFG")));
    assert_eq!((find(*b"FACP", &mut faults).map(|table| table.at), faults), (Ok(FADT), vec![]));
    // A copy that the newer list has is spoilt, the older list's is not.
    memory.0[1].1 = table(b"HPET", &[1]);
    memory.0[1].1[9] ^= 1;
    let mut faults = Vec::new();
    let found = self::find(&mut memory, list, *b"HPET", &mut |fault| faults.push(fault));
    assert_eq!(found.map(|table| table.at), Ok(0x200));
    assert_eq!(faults, [Fault::Checksum(*b"HPET"), Fault::OnlyIn(*b"HPET", Root::Rsdt(0x7000))]);
}

#[test]
fn of_two_fields_for_a_register_the_one_that_can_be_counts() {
    let port = |address| Register { space: Space::Port, address };
    let with = |field: &[u8]| {
        let mut bytes = fadt();
        bytes[172 - 36..][..field.len()].copy_from_slice(field);
        let mut memory = machine();
        memory.0[2].1 = table(b"FACP", &bytes);
        let (fadt, faults) = read(&mut memory);
        (fadt.expect("a good table").control[0], faults)
    };
    let old = Some(port(0x604));
    assert_eq!(with(&[]), (old, vec![]));
    assert_eq!(with(&[1, 16, 0, 2, 4, 6]), (old, vec![]), "the same");
    let differ = Fault::Differ("PM1a_CNT_BLK", port(0x1804), port(0x604));
    assert_eq!(with(&[1, 16, 0, 2, 4, 0x18]), (Some(port(0x1804)), vec![differ]));
    let far = Fault::Register("PM1a_CNT_BLK", port(0xFFFF_0000_0604));
    assert_eq!(with(&[1, 16, 0, 2, 4, 6, 0, 0, 0xFF, 0xFF]), (old, vec![far]));
    let memory = Register { space: Space::Memory, address: 0x604 };
    assert_eq!(with(&[0, 16, 0, 2, 4, 6]), (old, vec![Fault::Register("PM1a_CNT_BLK", memory)]));
    assert_eq!(with(&[0x7F, 16, 0, 2, 4, 6]), (old, vec![]), "a space of another kind is no register");
    assert_eq!(
        differ.to_string(),
        "the FADT has two fields PM1a_CNT_BLK: port 0x1804 (64-bit), which counts, and port 0x604 (32-bit)"
    );
}

#[test]
fn of_two_addresses_of_the_byte_code_the_one_that_has_it_counts() {
    const OTHER: u64 = 0x1_0000_0000;
    let found = Ok(Some(SleepType([7, 1])));
    let look = |other: Option<Vec<u8>>, dsdt| {
        let mut memory = machine();
        memory.0.extend(other.map(|bytes| (OTHER, bytes)));
        let mut faults = Vec::new();
        (sleep_type(&mut memory, dsdt, &mut |fault| faults.push(fault)), faults)
    };
    assert_eq!(look(None, [OTHER, DSDT]), (found, vec![Fault::Absent(OTHER)]));
    let mut bad = table(b"DSDT", &dsdt());
    bad[50] ^= 1;
    assert_eq!(look(Some(bad.clone()), [OTHER, DSDT]), (found, vec![Fault::Checksum(*b"DSDT")]));
    assert_eq!(look(Some(table(b"SSDT", &dsdt())), [OTHER, DSDT]), (found, vec![Fault::Name(*b"DSDT", OTHER)]));
    assert_eq!(look(Some(table(b"DSDT", b"no such name")), [OTHER, DSDT]), (found, vec![]));
    assert_eq!(look(Some(table(b"DSDT", b"no such name")), [OTHER, 0x100]), (Ok(None), vec![]));
    assert_eq!(look(Some(bad.clone()), [DSDT, OTHER]), (found, vec![]));
    assert_eq!(look(Some(bad.clone()), [OTHER, 0]), (Err(Fault::Checksum(*b"DSDT")), vec![]));
    assert_eq!(look(Some(bad), [OTHER, OTHER]), (Err(Fault::Checksum(*b"DSDT")), vec![]));
}
