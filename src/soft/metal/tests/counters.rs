//! Counter sample buffers, and argument buffers that the program describes.

use super::*;

/// A counter sample buffer.
fn samples(count: usize) -> Own {
    pool(|| {
        let sets = send!(*device(), "counterSets"; Id);
        let set = send!(sets, "objectAtIndex:", 0usize => usize; Id);
        assert_eq!(text(send!(set, "name"; Id)), "timestamp");
        let descriptor = new("MTLCounterSampleBufferDescriptor");
        send!(*descriptor, "setCounterSet:", set => Id; ());
        send!(*descriptor, "setSampleCount:", count => usize; ());
        let mut error = Id::NIL;
        let samples = send!(
            *device(), "newCounterSampleBufferWithDescriptor:error:", *descriptor => Id,
            &raw mut error => *mut Id; Id
        );
        assert!(!samples.is_nil(), "{}", error_text(error));
        Own::new(samples)
    })
}

/// Names the samples of a pass's beginning and end.
fn attach(pass: Id, samples: Id, start: usize, end: usize) {
    pool(|| {
        let all = send!(pass, "sampleBufferAttachments"; Id);
        let first = send!(all, "objectAtIndexedSubscript:", 0usize => usize; Id);
        send!(first, "setSampleBuffer:", samples => Id; ());
        send!(first, "setStartOfEncoderSampleIndex:", start => usize; ());
        send!(first, "setEndOfEncoderSampleIndex:", end => usize; ());
    });
}

fn resolved(samples: Id, count: usize) -> Vec<u64> {
    pool(|| {
        let range = NSRange { location: 0, length: count };
        let data = send!(samples, "resolveCounterRange:", range => NSRange; Id);
        assert_eq!(send!(data, "length"; usize), 8 * count);
        let bytes = send!(data, "bytes"; *const c_void).cast::<u64>();
        // SAFETY: there are that many.
        (0..count).map(|nth| unsafe { bytes.add(nth).read_unaligned() }).collect()
    })
}

#[test]
fn encoders_sample_the_time() {
    let (samples, queue) = (samples(6), queue());
    let (mut before, mut gpu) = (0usize, 0usize);
    send!(
        *device(), "sampleTimestamps:gpuTimestamp:", &raw mut before => *mut usize,
        &raw mut gpu => *mut usize; ()
    );
    assert_eq!(before, gpu);
    let commands = commands(*queue);
    let pass = new("MTLComputePassDescriptor");
    attach(*pass, *samples, 0, 2);
    let encoder = pool(|| {
        Own::retain(send!(*commands, "computeCommandEncoderWithDescriptor:", *pass => Id; Id))
    });
    let pipeline = pipeline(SAXPY, "count_up");
    let counters = buffer(4 * 1024);
    bind(*encoder, *pipeline);
    bind_buffer(*encoder, *counters, 0, 0);
    launch(*encoder, 1024, 32);
    send!(
        *encoder, "sampleCountersInBuffer:atSampleIndex:withBarrier:", *samples => Id,
        1usize => usize, Bool::new(true) => Bool; ()
    );
    launch(*encoder, 1024, 32);
    end(*encoder);
    let pass = new("MTLBlitPassDescriptor");
    attach(*pass, *samples, 3, 5);
    let blit = pool(|| {
        Own::retain(send!(*commands, "blitCommandEncoderWithDescriptor:", *pass => Id; Id))
    });
    send!(
        *blit, "sampleCountersInBuffer:atSampleIndex:withBarrier:", *samples => Id, 4usize => usize,
        Bool::new(false) => Bool; ()
    );
    let copied = buffer(32);
    let range = NSRange { location: 0, length: 4 };
    send!(
        *blit, "resolveCounters:inRange:destinationBuffer:destinationOffset:", *samples => Id,
        range => NSRange, *copied => Id, 0usize => usize; ()
    );
    end(*blit);
    finish(*commands).unwrap();
    let times = resolved(*samples, 6);
    assert!(times[0] as usize >= before && times.is_sorted(), "{before} {times:?}");
    assert_eq!(contents::<u64>(*copied), times[..4]);
}

#[test]
fn wrong_samples_are_errors() {
    let (samples, queue) = (samples(2), queue());
    let commands = commands(*queue);
    let encoder = encoder(*commands);
    send!(
        *encoder, "sampleCountersInBuffer:atSampleIndex:withBarrier:", *samples => Id,
        2usize => usize, Bool::new(false) => Bool; ()
    );
    end(*encoder);
    let error = finish(*commands).unwrap_err();
    assert!(error.contains("sample 2 of a counter sample buffer of 2 samples"), "{error}");
    pool(|| {
        let mut error = Id::NIL;
        let nothing = send!(
            *device(), "newCounterSampleBufferWithDescriptor:error:",
            *new("MTLCounterSampleBufferDescriptor") => Id, &raw mut error => *mut Id; Id
        );
        assert!(nothing.is_nil());
        assert_eq!(text(send!(error, "domain"; Id)), "MTLCounterErrorDomain");
        let range = NSRange { location: 1, length: 2 };
        assert!(send!(*samples, "resolveCounterRange:", range => NSRange; Id).is_nil());
    });
}

#[test]
fn samples_that_are_released_too_early_are_not_taken() {
    let record = |selector: &str| {
        let (samples, queue) = (samples(2), queue());
        let commands = pool(|| Own::retain(send!(*queue, selector; Id)));
        let encoder = encoder(*commands);
        send!(
            *encoder, "sampleCountersInBuffer:atSampleIndex:withBarrier:", *samples => Id,
            0usize => usize, Bool::new(false) => Bool; ()
        );
        end(*encoder);
        drop(samples);
        finish(*commands)
    };
    assert_eq!(record("commandBuffer"), Ok(()));
    let error = record("commandBufferWithUnretainedReferences").unwrap_err();
    assert!(error.contains("was released before"), "{error}");
}

#[test]
fn a_described_argument_buffer_is_that_of_the_kernel() {
    const SOURCE: &str = "#include <metal_stdlib>
        using namespace metal;
        struct Args {
            device const float *in [[id(0)]];
            float scale [[id(1)]];
            array<device float *, 2> outs [[id(2)]];
        };
        kernel void scale(constant Args &args [[buffer(0)]], uint i [[thread_position_in_grid]]) {
            args.outs[i % 2][i] = args.in[i] * args.scale;
        }";
    const FLOAT: usize = 3;
    const POINTER: usize = 60;
    let described = |index: usize, data_type: usize, length: usize| {
        let descriptor =
            pool(|| Own::retain(send!(class("MTLArgumentDescriptor"), "argumentDescriptor"; Id)));
        send!(*descriptor, "setIndex:", index => usize; ());
        send!(*descriptor, "setDataType:", data_type => usize; ());
        send!(*descriptor, "setArrayLength:", length => usize; ());
        descriptor
    };
    // In any order.
    let members = [described(2, POINTER, 2), described(0, POINTER, 0), described(1, FLOAT, 0)];
    let list = |members: &[Own]| {
        let ids: Vec<Id> = members.iter().map(|member| **member).collect();
        pool(|| {
            Own::retain(send!(
                class("NSArray"), "arrayWithObjects:count:", ids.as_ptr() => *const Id,
                ids.len() => usize; Id
            ))
        })
    };
    let arguments =
        Own::new(send!(*device(), "newArgumentEncoderWithArguments:", *list(&members) => Id; Id));
    assert_eq!(send!(*arguments, "encodedLength"; usize), 32);
    let place = buffer(32);
    send!(*arguments, "setArgumentBuffer:offset:", *place => Id, 0usize => usize; ());
    let (input, outs) = (buffer_of(&[1f32, 2., 3., 4.]), [buffer(16), buffer(16)]);
    bind_buffer(*arguments, *input, 0, 0);
    bind_buffer(*arguments, *outs[0], 0, 2);
    bind_buffer(*arguments, *outs[1], 0, 3);
    let scale = send!(*arguments, "constantDataAtIndex:", 1usize => usize; *mut c_void);
    // SAFETY: there is a float.
    unsafe { scale.cast::<f32>().write(10.) };
    let queue = queue();
    let commands = commands(*queue);
    let encoder = encoder(*commands);
    bind(*encoder, *pipeline(SOURCE, "scale"));
    bind_buffer(*encoder, *place, 0, 0);
    for buffer in [&input, &outs[0], &outs[1]] {
        send!(*encoder, "useResource:usage:", **buffer => Id, 3usize => usize; ());
    }
    launch(*encoder, 4, 4);
    end(*encoder);
    finish(*commands).unwrap();
    assert_eq!(contents::<f32>(*outs[0]), [10., 0., 30., 0.]);
    assert_eq!(contents::<f32>(*outs[1]), [0., 20., 0., 40.]);
    // An index that is described twice has no encoder.
    let twice = [described(0, POINTER, 2), described(1, FLOAT, 0)];
    assert!(send!(*device(), "newArgumentEncoderWithArguments:", *list(&twice) => Id; Id).is_nil());
}
