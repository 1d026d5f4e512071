mod sources;

use crate::{
    Absent, Fadt, Fault, Lists, Physical, PmTimer, Register, Root, SleepType, Space, find, hpet, scan, sleep_type,
};

/// Memory with holes: bytes at addresses.
#[derive(Clone, Default)]
pub struct Memory(pub Vec<(u64, Vec<u8>)>);

impl Physical for Memory {
    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), Absent> {
        let end = at.checked_add(into.len() as u64).ok_or(Absent)?;
        let inside = |(start, bytes): &&(u64, Vec<u8>)| *start <= at && end <= start + bytes.len() as u64;
        let (start, bytes) = self.0.iter().find(inside).ok_or(Absent)?;
        into.copy_from_slice(&bytes[(at - start) as usize..][..into.len()]);
        Ok(())
    }
}

fn lists(roots: &[Root]) -> Lists {
    roots.iter().copied().collect()
}

/// A table with a checksum that is right.
pub fn table(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut bytes = name.to_vec();
    bytes.extend((36 + content.len() as u32).to_le_bytes());
    bytes.resize(36, 0);
    bytes.extend(content);
    bytes[9] = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
    bytes
}

const FADT: u64 = 0x1_2345_6000;
const DSDT: u64 = 0x7FE0_0123;

fn fadt() -> Vec<u8> {
    let mut bytes = vec![0; 244 - 36];
    let mut put = |at: usize, what: &[u8]| bytes[at - 36..][..what.len()].copy_from_slice(what);
    put(40, &(DSDT as u32).to_le_bytes());
    put(48, &0xB2u32.to_le_bytes());
    put(52, &[0xF1]);
    put(64, &0x604u32.to_le_bytes());
    put(112, &(1u32 << 10).to_le_bytes());
    put(116, &[1, 8, 0, 1, 0xF9, 0x0C]);
    put(128, &[6]);
    bytes
}

fn dsdt() -> Vec<u8> {
    let mut code = b"\x10\x20\\_SB_ some code \x08_S4_\x12\x06\x04\x0A\x01\x0A\x01\0\0".to_vec();
    code.resize(300, 0x55);
    code.extend(b"\x08_S5_\x12\x06\x04\x0A\x07\x01\0\0");
    code
}

fn machine() -> Memory {
    let list = [0x100u64, FADT].iter().flat_map(|at| at.to_le_bytes()).collect::<Vec<_>>();
    let other = table(b"APIC", &[1, 2, 3]);
    Memory(vec![
        (0x8000, table(b"XSDT", &list)),
        (0x100, other),
        (FADT, table(b"FACP", &fadt())),
        (DSDT, table(b"DSDT", &dsdt())),
    ])
}

#[track_caller]
fn no_fault(fault: Fault) {
    panic!("{fault}");
}

fn read(memory: &mut Memory) -> (Result<Fadt, Fault>, Vec<Fault>) {
    let mut faults = Vec::new();
    let fadt = Fadt::read(memory, lists(&[Root::Xsdt(0x8000)]), &mut |fault| faults.push(fault));
    (fadt, faults)
}

#[test]
fn what_the_tables_say_is_what_is_read() {
    let mut memory = machine();
    let (fadt, faults) = read(&mut memory);
    let fadt = fadt.expect("a good table");
    let port = |address| Register { space: Space::Port, address };
    assert_eq!(fadt.reset, Some((port(0xCF9), 6)));
    assert_eq!(fadt.control, [Some(port(0x604)), None]);
    assert_eq!((fadt.enable, fadt.dsdt), (Some((0xB2, 0xF1)), [0, DSDT]));
    assert!(faults.is_empty());
    assert_eq!(sleep_type(&mut memory, fadt.dsdt, &mut no_fault), Ok(Some(SleepType([7, 1]))));
}

#[test]
fn wherever_the_name_lies_in_the_byte_code_it_is_found() {
    for before in 200..300 {
        for (code, wanted) in [
            (&b"\x08_S5_\x12\x06\x04\x0A\x05\x0A\x04\0\0"[..], Some([5, 4])),
            (b"\x08\\_S5_\x12\x46\x00\x02\x01\x00", Some([1, 0])),
            (b"\x08_S5_\x12\x06\x04\x0B\x05\x00\x0C\x06\0\0\0", Some([5, 6])),
            (b"\x08_S5_\x12\x03\x01\x0A\x05", Some([5, 0])),
            (b"\x08_S5_\x12\x06\x04FOO_", None),
            (b"\x08_S5_\x0A\x05", None),
            (b"\x14\x06_S5_\x12\x06\x04\x0A\x05", None),
        ] {
            let mut bytes = vec![0x70; before];
            bytes.extend(code);
            let mut memory = Memory(vec![(DSDT, table(b"DSDT", &bytes))]);
            assert_eq!(
                sleep_type(&mut memory, [0, DSDT], &mut no_fault),
                Ok(wanted.map(SleepType)),
                "{before} bytes before {code:02x?}"
            );
        }
    }
}

#[test]
fn each_thing_that_is_wrong_has_a_name() {
    let mut memory = machine();
    memory.0[2].1[100] ^= 1;
    assert_eq!(read(&mut memory), (Err(Fault::Missing(*b"FACP")), vec![Fault::Checksum(*b"FACP")]));

    let mut memory = machine();
    memory.0.remove(1);
    let (fadt, faults) = read(&mut memory);
    assert!(fadt.is_ok(), "the others count");
    assert_eq!(faults, [Fault::Absent(0x100)]);

    for bytes in [0u32, 35, u32::MAX] {
        let mut memory = machine();
        memory.0[0].1[4..8].copy_from_slice(&bytes.to_le_bytes());
        assert_eq!(read(&mut memory).0, Err(Fault::Length(*b"XSDT", bytes)));
    }
    let mut memory = machine();
    memory.0[3].1[4..8].copy_from_slice(&100_000u32.to_le_bytes());
    assert!(matches!(sleep_type(&mut memory, [0, DSDT], &mut no_fault), Err(Fault::Absent(_))), "longer than memory");

    let mut memory = machine();
    let list = lists(&[Root::Rsdt(0x8000)]);
    assert_eq!(find(&mut memory, list, *b"FACP", &mut |_| {}), Err(Fault::Name(*b"RSDT", 0x8000)));
    let list = lists(&[Root::Xsdt(u64::MAX - 3)]);
    assert_eq!(find(&mut memory, list, *b"FACP", &mut |_| {}), Err(Fault::Absent(u64::MAX - 3)));
    assert_eq!(sleep_type(&mut memory, [0, FADT], &mut no_fault), Err(Fault::Name(*b"DSDT", FADT)));
}

#[test]
fn a_table_that_lists_itself_or_is_cut_short_ends_the_reading() {
    let list = 0x8000u32.to_le_bytes().repeat(1000);
    let mut memory = Memory(vec![(0x8000, table(b"RSDT", &list))]);
    let rsdt = lists(&[Root::Rsdt(0x8000)]);
    assert_eq!(find(&mut memory, rsdt, *b"FACP", &mut |_| {}), Err(Fault::Missing(*b"FACP")));
    // An ACPI 1.0 table ends before the reset register.
    let list = (FADT as u32).to_le_bytes();
    let short = table(b"FACP", &fadt()[..116 - 36]);
    let mut memory = Memory(vec![(0x8000, table(b"RSDT", &list)), (FADT & 0xFFFF_FFFF, short)]);
    let fadt = Fadt::read(&mut memory, rsdt, &mut |_| {}).expect("a short table");
    assert_eq!((fadt.reset, fadt.dsdt), (None, [0, DSDT]));
}

#[test]
fn the_root_pointer_is_found_where_a_bios_puts_it() {
    let pointer = |revision: u8| {
        let mut pointer = b"RSD PTR \0STRATA".to_vec();
        pointer.push(revision);
        pointer.extend(0x1234u32.to_le_bytes());
        pointer[8] = pointer.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
        pointer.extend(36u32.to_le_bytes());
        pointer.extend(0x1_0000_5678u64.to_le_bytes());
        pointer.extend([0; 4]);
        pointer[32] = pointer.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
        pointer
    };
    let place = |pointer: &[u8]| {
        let mut bios = vec![0xFF; 0x2_0000];
        bios[0x1_5000..][..pointer.len()].copy_from_slice(pointer);
        Memory(vec![(0xE_0000, bios)])
    };
    let look = |mut memory: Memory| {
        let mut faults = Vec::new();
        (scan(&mut memory, &mut |fault| faults.push(fault)), faults)
    };
    let old = lists(&[Root::Rsdt(0x1234)]);
    assert_eq!(look(place(&pointer(2))), (Some(lists(&[Root::Xsdt(0x1_0000_5678), Root::Rsdt(0x1234)])), vec![]));
    assert_eq!(look(place(&pointer(0)[..20])), (Some(old), vec![]));
    let mut bad = pointer(2);
    bad[30] ^= 1;
    let fault = Fault::Pointer(0xF_5000);
    assert_eq!(look(place(&bad)), (Some(old), vec![fault]), "the first part is right");
    bad[12] ^= 1;
    assert_eq!(look(place(&bad)), (None, vec![fault]));
    let mut long = pointer(2);
    long[20..24].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(look(place(&long)), (Some(old), vec![fault]), "a length of 4 GiB");

    // In the extended data, which the BIOS's data says where to find.
    let mut extended = place(&bad);
    let mut data = vec![0; 1 << 10];
    data[0x3F0..][..16].copy_from_slice(&pointer(0)[..16]);
    data.extend(&pointer(0)[16..20]);
    extended.0.push((0x40E, 0x9FC0u16.to_le_bytes().to_vec()));
    extended.0.push((0x9_FC00, data));
    assert_eq!(look(extended.clone()), (Some(old), vec![]));
    extended.0[1].1 = 0xFFFFu16.to_le_bytes().to_vec();
    assert_eq!(look(extended), (None, vec![fault]), "a segment in the BIOS is no extended data");
    assert_eq!(look(Memory::default()), (None, vec![]));
}

#[test]
fn clocks_are_where_the_tables_say() {
    let mut address = vec![0; 4];
    address.extend([0, 64, 0, 0]);
    address.extend(0xFED0_0000u64.to_le_bytes());
    let mut memory = machine();
    memory.0[1].1 = table(b"HPET", &address);
    let list = lists(&[Root::Xsdt(0x8000)]);
    let register = Register { space: Space::Memory, address: 0xFED0_0000 };
    assert_eq!(hpet(&mut memory, list, &mut no_fault), Ok(Some(register)));
    memory.0[1].1 = table(b"HPET", &[0; 16]);
    assert_eq!(hpet(&mut memory, list, &mut no_fault), Ok(None));
    assert_eq!(hpet(&mut machine(), list, &mut no_fault), Err(Fault::Missing(*b"HPET")));

    let with = |put: &[(usize, &[u8])]| {
        let mut bytes = fadt();
        put.iter().for_each(|(at, what)| bytes[at - 36..][..what.len()].copy_from_slice(what));
        let mut memory = machine();
        memory.0[2].1 = table(b"FACP", &bytes);
        read(&mut memory).0.expect("a good table").pm_timer
    };
    let port = |address| Some(Register { space: Space::Port, address });
    assert_eq!(with(&[]), None);
    assert_eq!(
        with(&[(76, &0x608u32.to_le_bytes()), (91, &[4])]),
        Some(PmTimer { registers: [None, port(0x608)], bytes: 4 })
    );
    assert_eq!(with(&[(91, &[4])]), Some(PmTimer { registers: [None; 2], bytes: 4 }));
    let new: &[u8] = &[1, 32, 0, 3, 8, 0x18, 0, 0];
    assert_eq!(
        with(&[(76, &[8]), (91, &[3]), (208, new)]),
        Some(PmTimer { registers: [port(0x1808), port(8)], bytes: 3 })
    );
}
