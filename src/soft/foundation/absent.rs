//! Messages of Foundation's headers that the classes here have no methods for.
//!
//! They are reported on standard error, once, and return nil or zero; an `error:` argument gets an error. A message to
//! a class begins with a plus sign here. The lists are compared with the headers by a test.

use super::Failure;
use crate::abi::Id;
use crate::soft::fork::lock;
use crate::soft::runtime::class::bytes_of_doubles;
use crate::soft::runtime::declare::ErrorOut;
use std::collections::HashSet;
use std::fmt::Display;
use std::sync::Mutex;

/// Prints that a message has no method, once for each message. Returns what it prints.
pub(crate) fn reported(name: &dyn Display) -> String {
    static REPORTED: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    let text = format!("{name}: soft Metal does not have this; the result is nil or 0");
    if lock(&REPORTED).get_or_insert_default().insert(text.clone()) {
        eprintln!("aruminium: {text}");
    }
    text
}

/// Reports a message.
fn report(name: &dyn Display, selector: &str, last: usize) {
    /// `NSFeatureUnsupportedError` of `NSCocoaErrorDomain`.
    const UNSUPPORTED: isize = 3328;
    let text = reported(name);
    if selector.ends_with("error:") {
        let last: *mut Id = std::ptr::with_exposed_provenance_mut(last);
        ErrorOut::at(last).set(Failure::object("NSCocoaErrorDomain", UNSUPPORTED, &text, []));
    }
}

/// The bytes of memory of a rectangle, or of the insets from its edges, as a result.
const FOUR_DOUBLES: usize = bytes_of_doubles(4, cfg!(target_arch = "aarch64"));

/// Writes the lists of a file, whose `report` reports what is in them. Selectors of messages whose result is a struct of more than 16
/// bytes come last, each with how many bytes of memory it has.
macro_rules! lists {
    ($($(#[$doc:meta])* $name:ident {
        $($selector:literal,)* $(structs $($of_struct:literal: $bytes:expr,)+)?
    })+) => {$(
        $(#[$doc])*
        pub(super) static $name: $crate::soft::runtime::class::Lacking = $crate::soft::runtime::class::Lacking {
            selectors: &[$($selector),*],
            structs: &[$($(($of_struct, $bytes)),+)?],
            report,
        };
    )+};
}
pub(crate) use lists;

lists! {
    /// `NSString`.
    STRING {
        "+availableStringEncodings",
        "+defaultCStringEncoding",
        "+localizedNameOfStringEncoding:",
        "+stringEncodingForData:encodingOptions:convertedString:usedLossyConversion:",
        "+stringWithCString:",
        "+stringWithCString:length:",
        "+stringWithContentsOfFile:",
        "+stringWithContentsOfFile:usedEncoding:error:",
        "+stringWithContentsOfURL:",
        "+stringWithContentsOfURL:usedEncoding:error:",
        "cString",
        "cStringLength",
        "capitalizedStringWithLocale:",
        "compare:options:range:locale:",
        "componentsSeparatedByCharactersInSet:",
        "decomposedStringWithCanonicalMapping",
        "decomposedStringWithCompatibilityMapping",
        "enumerateSubstringsInRange:options:usingBlock:",
        "getBytes:maxLength:usedLength:encoding:options:range:remainingRange:",
        "getCString:",
        "getCString:maxLength:",
        "getCString:maxLength:range:remainingRange:",
        "getLineStart:end:contentsEnd:forRange:",
        "getParagraphStart:end:contentsEnd:forRange:",
        "initWithBytesNoCopy:length:encoding:deallocator:",
        "initWithCString:",
        "initWithCString:length:",
        "initWithCStringNoCopy:length:freeWhenDone:",
        "initWithCharactersNoCopy:length:deallocator:",
        "initWithCharactersNoCopy:length:freeWhenDone:",
        "initWithContentsOfFile:",
        "initWithContentsOfFile:usedEncoding:error:",
        "initWithContentsOfURL:",
        "initWithContentsOfURL:usedEncoding:error:",
        "lineRangeForRange:",
        "localizedCapitalizedString",
        "localizedCaseInsensitiveCompare:",
        "localizedCaseInsensitiveContainsString:",
        "localizedCompare:",
        "localizedLowercaseString",
        "localizedStandardCompare:",
        "localizedStandardContainsString:",
        "localizedStandardRangeOfString:",
        "localizedUppercaseString",
        "lossyCString",
        "lowercaseStringWithLocale:",
        "paragraphRangeForRange:",
        "precomposedStringWithCanonicalMapping",
        "precomposedStringWithCompatibilityMapping",
        "propertyList",
        "propertyListFromStringsFileFormat",
        "rangeOfCharacterFromSet:",
        "rangeOfCharacterFromSet:options:",
        "rangeOfCharacterFromSet:options:range:",
        "rangeOfComposedCharacterSequenceAtIndex:",
        "rangeOfComposedCharacterSequencesForRange:",
        "rangeOfString:options:range:locale:",
        "stringByAddingPercentEncodingWithAllowedCharacters:",
        "stringByAddingPercentEscapesUsingEncoding:",
        "stringByApplyingTransform:reverse:",
        "stringByFoldingWithOptions:locale:",
        "stringByReplacingPercentEscapesUsingEncoding:",
        "stringByTrimmingCharactersInSet:",
        "uppercaseStringWithLocale:",
        "writeToFile:atomically:",
        "writeToURL:atomically:",
    }
    /// `NSMutableString`.
    MUTABLE_STRING {
        "applyTransform:reverse:range:updatedRange:",
    }
    /// `NSMutableData`.
    MUTABLE_DATA {
        "compressUsingAlgorithm:error:",
        "decompressUsingAlgorithm:error:",
    }
    /// `NSArray`.
    ARRAY {
        "+arrayWithContentsOfFile:",
        "+arrayWithContentsOfURL:",
        "+arrayWithContentsOfURL:error:",
        "arrayByApplyingDifference:",
        "descriptionWithLocale:",
        "descriptionWithLocale:indent:",
        "differenceFromArray:",
        "enumerateObjectsAtIndexes:options:usingBlock:",
        "indexOfObject:inSortedRange:options:usingComparator:",
        "indexOfObjectIdenticalTo:inRange:",
        "initWithContentsOfFile:",
        "initWithContentsOfURL:",
        "initWithContentsOfURL:error:",
        "objectsAtIndexes:",
        "sortedArrayHint",
        "writeToFile:atomically:",
        "writeToURL:atomically:",
        "writeToURL:error:",
    }
    /// `NSMutableArray`.
    MUTABLE_ARRAY {
        "applyDifference:",
        "insertObjects:atIndexes:",
        "removeObject:inRange:",
        "removeObjectIdenticalTo:inRange:",
        "removeObjectsAtIndexes:",
        "removeObjectsFromIndices:numIndices:",
        "replaceObjectsAtIndexes:withObjects:",
        "replaceObjectsInRange:withObjectsFromArray:range:",
    }
    /// `NSData`.
    DATA {
        "+dataWithContentsOfMappedFile:",
        "base64Encoding",
        "compressedDataUsingAlgorithm:error:",
        "decompressedDataUsingAlgorithm:error:",
        "initWithBase64Encoding:",
        "initWithContentsOfMappedFile:",
    }
    /// `NSError`.
    ERROR {
        "+setUserInfoValueProviderForDomain:provider:",
        "+userInfoValueProviderForDomain:",
    }
    /// `NSURL`.
    URL {
        "+URLByResolvingAliasFileAtURL:options:error:",
        "+URLByResolvingBookmarkData:options:relativeToURL:bookmarkDataIsStale:error:",
        "+URLWithDataRepresentation:relativeToURL:",
        "+URLWithString:encodingInvalidCharacters:",
        "+URLWithString:relativeToURL:",
        "+absoluteURLWithDataRepresentation:relativeToURL:",
        "+bookmarkDataWithContentsOfURL:error:",
        "+fileURLWithPathComponents:",
        "+resourceValuesForKeys:fromBookmarkData:",
        "+writeBookmarkData:toURL:options:error:",
        "URLByResolvingSymlinksInPath",
        "URLHandleUsingCache:",
        "bookmarkDataWithOptions:includingResourceValuesForKeys:relativeToURL:error:",
        "checkPromisedItemIsReachableAndReturnError:",
        "dataRepresentation",
        "fileReferenceURL",
        "getPromisedItemResourceValue:forKey:error:",
        "getResourceValue:forKey:error:",
        "initAbsoluteURLWithDataRepresentation:relativeToURL:",
        "initByResolvingBookmarkData:options:relativeToURL:bookmarkDataIsStale:error:",
        "initWithDataRepresentation:relativeToURL:",
        "initWithScheme:host:path:",
        "initWithString:encodingInvalidCharacters:",
        "initWithString:relativeToURL:",
        "loadResourceDataNotifyingClient:usingCache:",
        "parameterString",
        "promisedItemResourceValuesForKeys:error:",
        "propertyForKey:",
        "removeAllCachedResourceValues",
        "removeCachedResourceValueForKey:",
        "resourceDataUsingCache:",
        "resourceValuesForKeys:error:",
        "setProperty:forKey:",
        "setResourceData:",
        "setResourceValue:forKey:error:",
        "setResourceValues:error:",
        "setTemporaryResourceValue:forKey:",
    }
    /// `NSBundle`.
    BUNDLE {
        "+URLForResource:withExtension:subdirectory:inBundleWithURL:",
        "+URLsForResourcesWithExtension:subdirectory:inBundleWithURL:",
        "+allFrameworks",
        "+bundleWithIdentifier:",
        "+pathForResource:ofType:inDirectory:",
        "+pathsForResourcesOfType:inDirectory:",
        "+preferredLocalizationsFromArray:",
        "+preferredLocalizationsFromArray:forPreferences:",
        "URLForAuxiliaryExecutable:",
        "URLForResource:withExtension:subdirectory:",
        "URLForResource:withExtension:subdirectory:localization:",
        "URLsForResourcesWithExtension:subdirectory:",
        "URLsForResourcesWithExtension:subdirectory:localization:",
        "appStoreReceiptURL",
        "builtInPlugInsPath",
        "builtInPlugInsURL",
        "classNamed:",
        "developmentLocalization",
        "executableArchitectures",
        "isLoaded",
        "load",
        "loadAndReturnError:",
        "localizations",
        "localizedInfoDictionary",
        "localizedStringForKey:value:table:",
        "localizedStringForKey:value:table:localizations:",
        "pathForAuxiliaryExecutable:",
        "pathForResource:ofType:inDirectory:",
        "pathForResource:ofType:inDirectory:forLocalization:",
        "pathsForResourcesOfType:inDirectory:",
        "pathsForResourcesOfType:inDirectory:forLocalization:",
        "preferredLocalizations",
        "preflightAndReturnError:",
        "preservationPriorityForTag:",
        "principalClass",
        "privateFrameworksPath",
        "privateFrameworksURL",
        "setPreservationPriority:forTags:",
        "sharedFrameworksPath",
        "sharedFrameworksURL",
        "sharedSupportPath",
        "sharedSupportURL",
        "unload",
    }
    /// `NSDate`.
    DATE {
        "+dateWithNaturalLanguageString:",
        "+dateWithNaturalLanguageString:locale:",
        "+dateWithString:",
        "dateWithCalendarFormat:timeZone:",
        "descriptionWithCalendarFormat:timeZone:locale:",
        "descriptionWithLocale:",
    }
    /// `NSDictionary`.
    DICTIONARY {
        "+dictionaryWithContentsOfFile:",
        "+dictionaryWithContentsOfURL:",
        "+sharedKeySetForKeys:",
        "descriptionInStringsFileFormat",
        "descriptionWithLocale:",
        "descriptionWithLocale:indent:",
        "enumerateKeysAndObjectsWithOptions:usingBlock:",
        "fileCreationDate",
        "fileExtensionHidden",
        "fileGroupOwnerAccountID",
        "fileGroupOwnerAccountName",
        "fileHFSCreatorCode",
        "fileHFSTypeCode",
        "fileIsAppendOnly",
        "fileIsImmutable",
        "fileModificationDate",
        "fileOwnerAccountID",
        "fileOwnerAccountName",
        "filePosixPermissions",
        "fileSize",
        "fileSystemFileNumber",
        "fileSystemNumber",
        "fileType",
        "keysOfEntriesPassingTest:",
        "keysOfEntriesWithOptions:passingTest:",
        "keysSortedByValueWithOptions:usingComparator:",
        "writeToFile:atomically:",
        "writeToURL:atomically:",
        "writeToURL:error:",
    }
    /// `NSMutableDictionary`.
    MUTABLE_DICTIONARY {
        "+dictionaryWithSharedKeySet:",
    }
    /// `NSMutableSet`.
    MUTABLE_SET {
        "filterUsingPredicate:",
    }
    /// `NSNumber`.
    NUMBER {
        "descriptionWithLocale:",
        structs "decimalValue": 20,
    }
    /// `NSProcessInfo`.
    PROCESS_INFO {
        "automaticTerminationSupportEnabled",
        "beginActivityWithOptions:reason:",
        "disableAutomaticTermination:",
        "disableSuddenTermination",
        "enableAutomaticTermination:",
        "enableSuddenTermination",
        "endActivity:",
        "operatingSystem",
        "operatingSystemName",
        "performActivityWithOptions:reason:usingBlock:",
        "performExpiringActivityWithReason:usingBlock:",
        "setAutomaticTerminationSupportEnabled:",
        "setProcessName:",
    }
    /// `NSRunLoop`.
    RUN_LOOP {
        "acceptInputForMode:beforeDate:",
        "addPort:forMode:",
        "addTimer:forMode:",
        "cancelPerformSelector:target:argument:",
        "cancelPerformSelectorsWithTarget:",
        "configureAsServer",
        "currentMode",
        "getCFRunLoop",
        "limitDateForMode:",
        "performBlock:",
        "performInModes:block:",
        "performSelector:target:argument:order:modes:",
        "removePort:forMode:",
    }
    /// `NSSet`.
    SET {
        "addObserver:forKeyPath:options:context:",
        "descriptionWithLocale:",
        "enumerateObjectsWithOptions:usingBlock:",
        "filteredSetUsingPredicate:",
        "objectsPassingTest:",
        "objectsWithOptions:passingTest:",
        "removeObserver:forKeyPath:",
        "removeObserver:forKeyPath:context:",
        "sortedArrayUsingDescriptors:",
    }
    /// `NSThread`.
    THREAD {
        "+detachNewThreadSelector:toTarget:withObject:",
        "+exit",
        "+setThreadPriority:",
        "+threadPriority",
        "cancel",
        "main",
        "qualityOfService",
        "setQualityOfService:",
        "setStackSize:",
        "setThreadPriority:",
        "stackSize",
        "start",
        "threadPriority",
    }
    /// `NSValue`.
    VALUE {
        "+valueWithEdgeInsets:",
        "+valueWithPoint:",
        "+valueWithRect:",
        "+valueWithSize:",
        "pointValue",
        "sizeValue",
        structs "edgeInsetsValue": FOUR_DOUBLES, "rectValue": FOUR_DOUBLES,
    }
}
