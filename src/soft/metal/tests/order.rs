//! The order of the encoders of a command buffer that uses memory whose hazards Metal does not track.
//!
//! Encoders that nothing orders run last first, so that each missing dependency shows.

use super::*;

/// A buffer of 16 bytes without hazard tracking.
fn untracked() -> Own {
    let selector = "newBufferWithLength:options:";
    Own::new(send!(*device(), selector, 16 => usize, 0x100 => usize; Id))
}

/// Runs one encoder for each row, which waits for fences, updates fences, and fills an untracked buffer
/// with its number, from 1. Returns the number of the encoder that ran last.
fn last_of(encoders: &[(&[&Own], &[&Own])]) -> u8 {
    let (buffer, commands) = (untracked(), commands(*queue()));
    for (number, (waits, updates)) in (1u8..).zip(encoders) {
        let blit = blit(*commands);
        waits.iter().for_each(|fence| send!(*blit, "waitForFence:", ***fence => Id; ()));
        let range = NSRange { location: 0, length: 16 };
        send!(*blit, "fillBuffer:range:value:", *buffer => Id, range => NSRange, number => u8; ());
        updates.iter().for_each(|fence| send!(*blit, "updateFence:", ***fence => Id; ()));
        end(*blit);
    }
    assert_eq!(finish(*commands), Ok(()));
    contents::<u8>(*buffer)[0]
}

#[test]
fn only_an_update_before_a_wait_for_the_same_fence_orders_encoders() {
    let fence = || Own::new(send!(*device(), "newFence"; Id));
    let (f, g) = (&fence(), &fence());
    let none: &[&Own] = &[];
    assert_eq!(last_of(&[(none, none), (none, none)]), 1, "no fence");
    assert_eq!(last_of(&[(none, &[f]), (&[f], none)]), 2, "an update, then a wait");
    assert_eq!(last_of(&[(none, &[g, f]), (&[f], none)]), 2, "one of two fences");
    assert_eq!(last_of(&[(none, &[f]), (&[g], none)]), 1, "different fences");
    assert_eq!(last_of(&[(&[f], none), (none, &[f])]), 1, "a wait, then an update");
    assert_eq!(last_of(&[(none, &[f]), (none, &[f])]), 1, "two updates");
    assert_eq!(last_of(&[(&[f], none), (&[f], none)]), 1, "two waits");
    assert_eq!(last_of(&[(none, &[f]), (&[f], none), (none, none)]), 2, "the third is free");
    assert_eq!(last_of(&[(none, none), (none, &[f]), (&[f], none)]), 1, "the first is last");
}

/// More encoders than are put in another order keep the order in which they were recorded.
#[test]
fn many_encoders_keep_their_order() {
    let none: &[&Own] = &[];
    assert_eq!(last_of(&[(none, none); 32]), 1);
    assert_eq!(last_of(&[(none, none); 33]), 33);
}

/// The encoders after a wait are put in order once, not again when the queue continues.
#[test]
fn a_wait_does_not_change_the_order_of_what_follows() {
    let (buffer, event, commands) = (untracked(), shared_event(), commands(*queue()));
    wait_for(*commands, *event, 1);
    fill(*commands, *buffer, 1);
    fill(*commands, *buffer, 2);
    commit(*commands);
    // The queue should get to the wait before the event is signalled.
    std::thread::sleep(std::time::Duration::from_millis(20));
    send!(*event, "setSignaledValue:", 1 => u64; ());
    wait(*commands);
    assert_eq!(outcome(*commands), Ok(()));
    assert_eq!(contents::<u8>(*buffer)[0], 1);
}

/// An event after the last encoder is signalled, whatever the order of the encoders.
#[test]
fn an_event_after_reordered_encoders_is_signalled() {
    let (buffer, event, commands) = (untracked(), shared_event(), commands(*queue()));
    fill(*commands, *buffer, 1);
    fill(*commands, *buffer, 2);
    signal(*commands, *event, 3);
    assert_eq!(finish(*commands), Ok(()));
    assert_eq!(contents::<u8>(*buffer)[0], 1);
    assert_eq!(send!(*event, "signaledValue"; u64), 3);
}

type Step<'a> = &'a dyn Fn(Id);

/// Each kind of command, and each of its tracked resources: an encoder that conflicts keeps its position,
/// although other memory of the command buffer is untracked.
#[test]
fn tracked_resources_keep_the_order_of_their_encoders() {
    const R32F: usize = 55;
    let descriptor = pool(|| {
        let selector = "texture2DDescriptorWithPixelFormat:width:height:mipmapped:";
        Own::retain(send!(
            class("MTLTextureDescriptor"), selector, R32F => usize, 2 => usize, 2 => usize,
            Bool::new(true) => Bool; Id
        ))
    });
    send!(*descriptor, "setUsage:", 3 => usize; ());
    let texture = || Own::new(send!(*device(), "newTextureWithDescriptor:", *descriptor => Id; Id));
    let (m, s, out) = (&buffer_of(&[1u32, 1, 1, 0]), &buffer(16), &buffer(16));
    let (t, u) = (&texture(), &texture());
    let copy = |from: &Own, to: &Own, commands: Id| {
        let blit = blit(commands);
        send!(
            *blit, "copyFromBuffer:sourceOffset:toBuffer:destinationOffset:size:", **from => Id,
            0 => usize, **to => Id, 0 => usize, 16 => usize; ()
        );
        end(*blit);
    };
    let upload = |from: &Own, to: &Own, commands: Id| {
        let blit = blit(commands);
        send!(
            *blit, "copyFromBuffer:sourceOffset:sourceBytesPerRow:sourceBytesPerImage:sourceSize:toTexture:destinationSlice:destinationLevel:destinationOrigin:",
            **from => Id, 0 => usize, 8 => usize, 16 => usize, MTLSize::from((2, 2, 1)) => MTLSize,
            **to => Id, 0 => usize, 0 => usize, MTLOrigin::from((0, 0, 0)) => MTLOrigin; ()
        );
        end(*blit);
    };
    let download = |from: &Own, level: usize, to: &Own, commands: Id| {
        let (blit, side) = (blit(commands), 2 >> level);
        send!(
            *blit, "copyFromTexture:sourceSlice:sourceLevel:sourceOrigin:sourceSize:toBuffer:destinationOffset:destinationBytesPerRow:destinationBytesPerImage:",
            **from => Id, 0 => usize, level => usize, MTLOrigin::from((0, 0, 0)) => MTLOrigin,
            MTLSize::from((side, side, 1)) => MTLSize, **to => Id, 0 => usize, 8 => usize, 16 => usize; ()
        );
        end(*blit);
    };
    let between = |from: &Own, to: &Own, commands: Id| {
        let blit = blit(commands);
        send!(*blit, "copyFromTexture:toTexture:", **from => Id, **to => Id; ());
        end(*blit);
    };
    let mipmaps = |of: &Own, commands: Id| {
        let blit = blit(commands);
        send!(*blit, "generateMipmapsForTexture:", **of => Id; ());
        end(*blit);
    };
    let count_up = pipeline(SAXPY, "count_up");
    let paint = "
        #include <metal_stdlib>
        using namespace metal;
        kernel void paint(texture2d<float, access::write> to [[texture(0)]], uint i [[thread_position_in_grid]]) {
            to.write(float4(1.0), uint2(i & 1, i >> 1));
        }";
    let paint = pipeline(paint, "paint");
    let count = |indirect: Option<&Own>, commands: Id| {
        let encoder = encoder(commands);
        bind(*encoder, *count_up);
        bind_buffer(*encoder, **out, 0, 0);
        match indirect {
            None => launch(*encoder, 1, 1),
            Some(groups) => {
                let selector = "dispatchThreadgroupsWithIndirectBuffer:indirectBufferOffset:threadsPerThreadgroup:";
                let one = MTLSize::from((1, 1, 1));
                send!(*encoder, selector, **groups => Id, 0 => usize, one => MTLSize; ());
            }
        }
        end(*encoder);
    };
    let painted = |to: &Own, commands: Id| {
        let encoder = encoder(commands);
        bind(*encoder, *paint);
        send!(*encoder, "setTexture:atIndex:", **to => Id, 0 => usize; ());
        launch(*encoder, 4, 4);
        end(*encoder);
    };
    let filled = |buffer: &Own, value: u8| {
        let buffer: Id = **buffer;
        move |commands: Id| fill(commands, buffer, value)
    };

    let in_one = |steps: &[Step<'_>]| {
        let commands = commands(*queue());
        steps.iter().for_each(|step| step(*commands));
        assert_eq!(finish(*commands), Ok(()));
    };
    let check = |name: &str,
                 before: &[Step<'_>],
                 pair: [Step<'_>; 2],
                 after: &[Step<'_>],
                 first_byte: u8| {
        before.iter().for_each(|step| in_one(&[*step]));
        let other = untracked();
        in_one(&[pair[0], &|commands| fill(commands, *other, 1), pair[1]]);
        after.iter().for_each(|step| in_one(&[*step]));
        assert_eq!(contents::<u8>(**out)[0], first_byte, "{name}");
    };
    check(
        "the grid of an indirect dispatch",
        &[],
        [&|c| count(Some(m), c), &|c| fill(c, **m, 0)],
        &[],
        1,
    );
    let (m1, s2, out0) = (&filled(m, 1), &filled(s, 2), &filled(out, 0));
    let (m_to_t, s_to_t) = (&|c: Id| upload(m, t, c), &|c: Id| upload(s, t, c));
    let t_to_out = &|c: Id| download(t, 0, out, c);
    check("a buffer of a dispatch", &[out0], [&|c| count(None, c), &filled(out, 5)], &[], 5);
    check("a texture of a dispatch", &[s2], [&|c| painted(t, c), s_to_t], &[t_to_out], 2);
    check("a filled buffer", &[], [&filled(out, 1), &filled(out, 2)], &[], 2);
    check("a copy's source", &[m1], [&|c| copy(m, out, c), &filled(m, 2)], &[], 1);
    check("a copy's destination", &[m1], [&|c| copy(m, out, c), &filled(out, 2)], &[], 2);
    check("an upload's source", &[m1], [m_to_t, &filled(m, 2)], &[t_to_out], 1);
    check("an upload's destination", &[m1, s2], [m_to_t, s_to_t], &[t_to_out], 2);
    check("a download's source", &[m1, s2, m_to_t], [t_to_out, s_to_t], &[], 1);
    check("a download's destination", &[m1, m_to_t], [t_to_out, &filled(out, 2)], &[], 2);
    let (t_to_u, u_to_out) = (&|c: Id| between(t, u, c), &|c: Id| download(u, 0, out, c));
    check("a copied texture", &[m1, s2, m_to_t], [t_to_u, s_to_t], &[u_to_out], 1);
    let s_to_u = &|c: Id| upload(s, u, c);
    check("a texture that is copied to", &[m1, s2, m_to_t], [t_to_u, s_to_u], &[u_to_out], 2);
    let level = &|c: Id| download(t, 1, out, c);
    check(
        "mip levels",
        &[s2, s_to_t, &|c| mipmaps(t, c), m1, m_to_t, out0],
        [&|c| mipmaps(t, c), level],
        &[],
        1,
    );
}
